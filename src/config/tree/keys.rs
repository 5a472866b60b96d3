//! Spellings of keys: camelCase, and the nearest known key.

/// The maximum edit distance of a suggestion, for keys of this length and above.
const MAX_EDIT_DISTANCE: usize = 3;

/// Converts `serviceName` to `service_name`.
pub(in super::super) fn snake_case(key: &str) -> String {
    let mut snake = String::with_capacity(key.len() + 4);
    for (at, char) in key.chars().enumerate() {
        if char.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

/// Returns the known key that a text probably means.
pub(super) fn nearest<'a>(key: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let key = snake_case(key).replace('-', "_");
    let rank = |known: &&str| strsim::levenshtein(known, &key);
    let nearest = known.into_iter().min_by_key(rank)?;
    let limit = MAX_EDIT_DISTANCE.min(key.len().div_ceil(3));
    (rank(&nearest) <= limit
        || (key.len() > 3 && (nearest.contains(&*key) || key.contains(nearest))))
    .then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camel_case_becomes_snake_case_and_snake_case_stays() {
        for (key, snake) in [
            ("serviceName", "service_name"),
            ("service_name", "service_name"),
            ("cpu", "cpu"),
        ] {
            assert_eq!(snake_case(key), snake);
        }
    }

    #[test]
    fn a_suggestion_is_close_to_the_key() {
        let known = ["prefix", "listen", "endpoint", "max_connections"];
        for (key, found) in [
            ("prefx", Some("prefix")),
            ("Listen", Some("listen")),
            ("connections", Some("max_connections")),
            ("password", None),
            ("x", None),
        ] {
            assert_eq!(nearest(key, known), found, "{key}");
        }
    }
}
