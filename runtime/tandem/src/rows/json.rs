//! JSON: an array of objects, or objects one after another (newline-delimited JSON).

use serde_json::{Deserializer, Map, Value};

use super::RowsFault;

/// A row each.
pub(super) type Objects = Vec<Map<String, Value>>;

pub(super) fn parse(text: &str) -> Result<Objects, RowsFault> {
    if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(RowsFault::Json)
    } else {
        Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().map_err(RowsFault::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_and_lines_give_the_same_rows() {
        let array = parse(" [{\"a\": 1, \"b\": null},\n {\"a\": 2}]\n").unwrap();
        assert_eq!(array.len(), 2);
        assert_eq!(array, parse("{\"a\":1,\"b\":null}\n{\"a\":2}\n").unwrap());
        assert!(parse("").unwrap().is_empty() && parse("[]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_row_is_refused_with_its_place() {
        let told = |text| parse(text).unwrap_err().to_string();
        assert_eq!(
            told("[{\"a\": 1}, 2]"),
            "not rows as JSON objects: invalid type: integer `2`, expected a map at line 1 column 12"
        );
        assert_eq!(told("{\"a\": 1}\n{\"a\" 2}\n"), "not rows as JSON objects: expected `:` at line 2 column 6");
    }
}
