//! Selects the form of a health report from `?format=` and `Accept` (RFC 9110 §12.5.1).

/// The form of a health report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The JSON of the replaced system, extended.
    Json,
    /// `application/health+json`: draft-inadarei-api-health-check-06.
    HealthJson,
    /// A line per check, for people.
    Text,
}

impl Form {
    /// Selects the form. JSON is the default, also for `*/*`; `None` for an unknown format.
    pub(super) fn select(format: Option<&str>, accept: &str) -> Option<Self> {
        match format {
            Some("json") => return Some(Self::Json),
            Some("health") => return Some(Self::HealthJson),
            Some("text") => return Some(Self::Text),
            Some(_) => return None,
            None => {}
        }
        let mut best = (0.0, Self::Json);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str()
            {
                "application/health+json" => Self::HealthJson,
                "text/plain" => Self::Text,
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            let quality: f64 = quality.unwrap_or(1.0);
            // Of two types with the same quality, the first is selected.
            if quality > best.0 {
                best = (quality, form);
            }
        }
        Some(best.1)
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::HealthJson => "application/health+json",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_the_format_and_then_the_header() {
        for (format, accept, form) in [
            (None, "", Some(Form::Json)),
            (None, "*/*", Some(Form::Json)),
            (None, "application/json", Some(Form::Json)),
            (None, "application/health+json", Some(Form::HealthJson)),
            (None, "text/plain", Some(Form::Text)),
            (None, "text/plain;q=0.5, */*", Some(Form::Json)),
            (
                None,
                "text/html,application/xhtml+xml,*/*;q=0.8",
                Some(Form::Json),
            ),
            (None, "image/png", Some(Form::Json)),
            (Some("text"), "application/json", Some(Form::Text)),
            (Some("health"), "", Some(Form::HealthJson)),
            (Some("json"), "text/plain", Some(Form::Json)),
            (Some("xml"), "", None),
        ] {
            assert_eq!(Form::select(format, accept), form, "{format:?} {accept}");
        }
    }
}
