//! The reference page says what the code says.

const PAGE: &str = include_str!("../../../../docs/reference/online-store.md");

/// The drawing of bytes in a module's documentation.
fn drawing(source: &str) -> String {
    let docs: Vec<_> = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let start = docs.iter().position(|line| *line == "```text").unwrap();
    let bytes = docs[start + 1..].iter().position(|line| *line == "```").unwrap();
    docs[start..=start + 1 + bytes].join("\n")
}

#[test]
fn the_page_draws_the_same_bytes() {
    for source in [
        include_str!("../../src/record.rs"),
        include_str!("../../src/view.rs"),
        include_str!("../../src/key.rs"),
        include_str!("../../src/log.rs"),
        include_str!("../../src/taken.rs"),
        include_str!("../../src/generation.rs"),
    ] {
        let drawing = drawing(source);
        assert!(drawing.lines().count() > 4);
        // The head of the columns may say more beside the code than on the page.
        let rows: Vec<_> = drawing.lines().filter(|line| !line.starts_with("offset")).skip(1).collect();
        assert!(PAGE.contains(&rows.join("\n")), "not on the page:\n{drawing}");
    }
}

#[test]
fn the_page_names_every_limit() {
    let options = include_str!("../../src/options.rs");
    let names: Vec<_> = options.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':')).collect();
    let names: Vec<_> = names.into_iter().map(|(name, _)| name).filter(|name| !name.starts_with("const")).collect();
    assert!(names.contains(&"map_bytes") && names.len() == 9, "{names:?}");
    for name in names {
        assert!(PAGE.contains(&format!("| `{name}` |")), "`{name}` is not on the page");
    }
}
