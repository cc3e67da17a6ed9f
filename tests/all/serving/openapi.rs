//! The OpenAPI document, and requests that schemathesis makes of it.

use std::process::Command;

use serde_json::Value;

use super::Shop;
use crate::harness::tools::python_with;

/// What is held against the server. `positive_data_acceptance` is left out: a schema cannot say that columns have one length, that a name is one of a
/// view, or that text is base64, so that some requests that fit the document are refused, as they should be.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection,unsupported_method";

#[test]
fn generated_requests_find_nothing() {
    let shop = Shop::new();
    let client = shop.serve();
    let python = python_with("schemathesis", "requirements-schemathesis.txt");
    let document: Value = {
        let agent: ureq::Agent = ureq::Agent::new_with_defaults();
        let mut answer = agent.get(format!("{}/openapi.json", client.server.url())).call().expect("an answer");
        serde_json::from_reader(answer.body_mut().as_reader()).expect("JSON")
    };
    let paths: Vec<&String> = document["paths"].as_object().expect("paths").keys().collect();
    for path in ["/v1/transforms/ratio", "/v1/transforms/ratio@1", "/v1/services/checkout", "/v1/push/usual", "/health"]
    {
        assert!(paths.iter().any(|found| *found == path), "{path} is not among {paths:?}");
    }
    let mut command = Command::new(python.with_file_name("schemathesis"));
    // A fixed seed, and requests within what a test may take.
    command.args(["run", &format!("{}/openapi.json", client.server.url()), "--checks", CHECKS, "--seed", "1"]);
    command.args([
        "--max-examples",
        "15",
        "--phases",
        "examples,fuzzing",
        "--suppress-health-check",
        "all",
        "--no-color",
    ]);
    // Of the times that it would think of, some are over at once, which is a 504.
    command.args(["-H", "tandem-timeout-ms: 60000"]);
    let output = command.current_dir(shop.root()).output().expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let all: usize = document["paths"].as_object().expect("paths").len();
    assert!(said.contains(&format!("{all} passed")), "each path has one operation: {said}");
}
