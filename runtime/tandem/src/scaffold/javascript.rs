//! A new JavaScript or TypeScript module.

mod sdk;

use super::place::SdkPlace;
use super::{Form, Language, NewFile, Scaffold, Template, vendored};

pub(super) const TEMPLATE: Template = Template {
    vendored: "vendor/tandem-sdk",
    sdk: SdkPlace { manifest: "package.json", name_line: "\"name\":\"tandem-sdk\"", home: "guest-sdk/js" },
    files,
    sdk_files: || vendored(sdk::SOURCES),
    next: &["npm install", "npm test"],
};

/// What makes components, in the versions that `tandem build` takes.
const TOOLS: [(&str, &str); 2] = [("componentize-qjs", "0.4.5"), ("esbuild", "0.28.2")];

/// What checks types; TypeScript's alone.
const CHECKER: (&str, &str) = ("typescript", "7.0.2");

fn files(scaffold: &Scaffold, sdk: &str) -> Vec<NewFile> {
    let is_typed = scaffold.language == Language::TypeScript;
    let ending = if is_typed { "ts" } else { "js" };
    let source = if scaffold.form == Form::Columns {
        include_str!("templates/javascript/columns.js.in")
    } else {
        include_str!("templates/javascript/rows.js.in")
    };
    let plain = if scaffold.form == Form::Columns { "" } else { include_str!("templates/javascript/test_plain.js.in") };
    // Node.js takes the types away itself, from 22.6 on when it is asked to and later by itself; esbuild does it for any.
    let test = if is_typed {
        "tsc && esbuild transform.test.js --bundle --platform=node --format=esm --outfile=build/transform.test.js --log-level=warning && node --test build/transform.test.js"
    } else {
        "node --test"
    };
    let tools: serde_json::Map<_, _> = TOOLS
        .into_iter()
        .chain(is_typed.then_some(CHECKER))
        .map(|(name, version)| (name.to_owned(), serde_json::Value::from(version)))
        .collect();
    let tools = serde_json::to_string(&tools).expect("texts are JSON");
    let sdk = serde_json::Value::from(format!("file:{sdk}")).to_string();
    let fill = |template: &str| {
        template
            .replace("{{plain}}", plain)
            .replace("{{name}}", &scaffold.name)
            .replace("{{folder}}", &scaffold.folder_name())
            .replace("{{ending}}", ending)
            .replace("{{test}}", test)
            .replace("{{tools}}", &tools.replace(':', ": ").replace(',', ", ").replace('{', "{ ").replace('}', " }"))
            .replace("{{sdk}}", &sdk)
    };
    let source_file = if is_typed { "transform.ts" } else { "transform.js" };
    let mut files = vec![
        ("package.json", include_str!("templates/javascript/package.json.in")),
        ("README.md", include_str!("templates/javascript/README.md.in")),
        (".gitignore", include_str!("templates/javascript/gitignore.in")),
        ("samples.json", include_str!("templates/samples.json.in")),
        (source_file, source),
        ("transform.test.js", include_str!("templates/javascript/test_rows.js.in")),
    ];
    if is_typed {
        files.push(("tsconfig.json", include_str!("templates/javascript/tsconfig.json.in")));
    }
    files.into_iter().map(|(path, template)| (path.to_owned(), fill(template))).collect()
}
