//! "Did you mean": the known name nearest to an unknown one.

/// The candidate nearest to `name`, if one is near: at most a third of its characters (at least one) differ.
///
/// The distance is the optimal string alignment distance: insertions, deletions, substitutions, and swaps of two
/// neighbours (Damerau 1964, restricted form). Of equally near candidates the first wins.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower: Vec<char> = name.to_lowercase().chars().collect();
    let limit = (lower.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase().chars().collect::<Vec<_>>()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint for an unknown name: the nearest of the known ones, and all of them where they are few.
pub fn hint(name: &str, things: &str, known: &[&str]) -> String {
    const LISTED_MAX: usize = 20;
    let nearest = nearest(name, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
    let listed = match known {
        [] => Some(format!("there are no {things}")),
        [_] if nearest.is_some() => None,
        [only] => Some(format!("there is only `{only}`")),
        _ if known.len() <= LISTED_MAX => Some(format!("the {things} are {}", list(known))),
        _ => None,
    };
    match (nearest, listed) {
        (Some(nearest), Some(listed)) => format!("{nearest} {listed}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => format!("there are {} {things}, none with a similar name", known.len()),
    }
}

/// The same for views as people name them, `name`, `name@version` or `name@alias`: near is the name, and of its versions the last is meant.
pub fn view_hint(reference: &str, things: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = nearest(view_name(reference), known.iter().map(|view| view_name(view)));
    let is_version = |view: &&&str| view.rsplit('@').next().is_some_and(|version| version.parse::<u32>().is_ok());
    let of_name = || known.iter().filter(|view| Some(view_name(view)) == near);
    match of_name().rfind(is_version).or_else(|| of_name().next()) {
        // That is near for sure.
        Some(view) => hint(view, things, &known),
        None => hint(reference, things, &known),
    }
}

fn view_name(reference: &str) -> &str {
    reference.split('@').next().unwrap_or_default()
}

/// "`a`, `b` and `c`".
pub fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["ttl", "source", "entities", "event_time"];
        for (name, expected) in [
            ("tll", Some("ttl")),
            ("sorce", Some("source")),
            ("Entities", Some("entities")),
            ("event_tiem", Some("event_time")),
            ("eventtime", Some("event_time")),
            ("owner", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn a_view_is_near_by_its_name() {
        let known = ["risk@1", "risk@2", "risk@champion", "spend@1"].map(str::to_owned);
        let listed = "the views are `risk@1`, `risk@2`, `risk@champion` and `spend@1`";
        for (asked, meant) in
            [("risk@7", "risk@2"), ("rsk", "risk@2"), ("spent@1", "spend@1"), ("Risk@other", "risk@2")]
        {
            assert_eq!(view_hint(asked, "views", &known), format!("did you mean `{meant}`? {listed}"));
        }
        assert_eq!(view_hint("another", "views", &known), listed);
        assert_eq!(view_hint("risk", "views", &[]), "there are no views");
    }

    #[test]
    fn hints_list_what_there_is() {
        assert_eq!(hint("tll", "keys", &["ttl", "name"]), "did you mean `ttl`? the keys are `ttl` and `name`");
        assert_eq!(hint("x", "entities", &[]), "there are no entities");
        assert_eq!(hint("crad", "entities", &["card"]), "did you mean `card`?");
        assert_eq!(hint("x", "entities", &["card"]), "there is only `card`");
        let many: Vec<String> = (0..30).map(|i| format!("source_{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(hint("zzz", "sources", &many), "there are 30 sources, none with a similar name");
        assert_eq!(hint("source_2x", "sources", &many), "did you mean `source_2`?");
    }
}
