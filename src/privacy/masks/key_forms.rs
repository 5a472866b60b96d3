//! Lists the forms of keys and tokens that start with a fixed prefix, and builds a single pattern of all forms.
//!
//! The prefixes, alphabets and lengths are facts from the rules of gitleaks (config/gitleaks.toml, version 8). The
//! prefixes of Groq, xAI, Replicate, NVIDIA, Fireworks, `LangSmith`, Tavily, Cerebras, Pinecone, Together, E2B, Jina
//! and Google's OAuth tokens, which gitleaks lacks, are those of the detectors of trufflehog and of the providers. The
//! minimum of a form is at most the length that these rules state and mostly half of it, because providers change the
//! lengths and log lines are cut.

/// The characters after a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    Alphanumeric,
    Hexadecimal,
    /// `base64url`.
    UrlSafe,
    Base64,
    /// `base64url` in parts between dots.
    Dotted,
}

impl Alphabet {
    /// Returns the class of a regular expression. Both cases count, because some log pipelines change the case.
    const fn class(self) -> &'static str {
        match self {
            Self::Alphanumeric => "[A-Za-z0-9]",
            Self::Hexadecimal => "[A-Fa-f0-9]",
            Self::UrlSafe => "[A-Za-z0-9_-]",
            Self::Base64 => "[A-Za-z0-9+/=]",
            Self::Dotted => "[A-Za-z0-9_.-]",
        }
    }
}

use Alphabet::{Alphanumeric, Base64, Dotted, Hexadecimal, UrlSafe};

/// A prefix, the alphabet of the characters after the prefix, and the minimum number of these characters.
pub(super) type KeyForm = (&'static str, Alphabet, usize);

/// The minimum number of characters after a prefix in upper case, since words in upper case are constants.
const MIN_UPPER_CASE: usize = 16;

pub(super) const KEY_FORMS: &[KeyForm] = &[
    // Language models.
    ("AIza", UrlSafe, 8),
    ("api_org_", Alphanumeric, 16),
    ("csk-", Alphanumeric, 20),
    ("e2b_", Hexadecimal, 20),
    ("fpk_", Alphanumeric, 20),
    ("fw_", Alphanumeric, 20),
    ("gsk_", Alphanumeric, 20),
    // `hf_hub_download` is a function.
    ("hf_", Alphanumeric, 16),
    ("jina_", Alphanumeric, 30),
    ("lsv2_pt_", UrlSafe, 20),
    ("lsv2_sk_", UrlSafe, 20),
    ("nvapi-", UrlSafe, 32),
    ("pcsk_", UrlSafe, 30),
    ("pplx-", Alphanumeric, 20),
    ("r8_", Alphanumeric, 20),
    ("tgp_v1_", UrlSafe, 20),
    ("tvly-", UrlSafe, 20),
    ("xai-", UrlSafe, 40),
    // Clouds.
    ("1//0", UrlSafe, 30),
    ("FQoGZXIvYXdz", Base64, 40),
    ("FwoGZXIvYXdz", Base64, 40),
    ("GOCSPX-", UrlSafe, 20),
    ("IQoJb3JpZ2lu", Base64, 40),
    ("LTAI", Alphanumeric, 20),
    ("ya29.", Dotted, 20),
    ("dapi", Hexadecimal, 32),
    ("doo_v1_", Hexadecimal, 32),
    ("dop_v1_", Hexadecimal, 32),
    ("dor_v1_", Hexadecimal, 32),
    ("fm1a_", Base64, 40),
    ("fm1r_", Base64, 40),
    ("fm2_", Base64, 40),
    ("fo1_", UrlSafe, 30),
    ("HRKU-AA", UrlSafe, 30),
    // Stores of secrets.
    ("AGE-SECRET-KEY-1", Alphanumeric, 40),
    ("dp.pt.", Alphanumeric, 20),
    ("hvb.", UrlSafe, 40),
    ("hvr.", UrlSafe, 40),
    ("hvs.", UrlSafe, 20),
    ("ops_eyJ", Base64, 40),
    // Forges and package registries.
    ("AKCp", Alphanumeric, 60),
    ("ATATT3", UrlSafe, 40),
    ("CLOJARS_", Alphanumeric, 40),
    ("GR1348941", UrlSafe, 16),
    ("dckr_pat_", UrlSafe, 20),
    ("gho_", UrlSafe, 8),
    ("ghp_", UrlSafe, 8),
    ("ghr_", UrlSafe, 8),
    ("ghs_", UrlSafe, 8),
    ("ghu_", UrlSafe, 8),
    ("github_pat_", UrlSafe, 8),
    ("glagent-", UrlSafe, 30),
    ("glcbt-", UrlSafe, 16),
    ("gldt-", UrlSafe, 16),
    ("glffct-", UrlSafe, 16),
    ("glft-", UrlSafe, 16),
    ("glimt-", UrlSafe, 16),
    ("gloas-", UrlSafe, 30),
    ("glpat-", UrlSafe, 8),
    ("glptt-", Hexadecimal, 20),
    ("glrt-", UrlSafe, 16),
    ("glsoat-", UrlSafe, 16),
    ("lin_api_", Alphanumeric, 20),
    // `npm_config_registry` is a variable.
    ("npm_", Alphanumeric, 16),
    ("ntn_", Alphanumeric, 20),
    ("pnu_", Alphanumeric, 20),
    ("pul-", Hexadecimal, 32),
    ("pypi-", Alphanumeric, 32),
    ("pypi-AgE", UrlSafe, 16),
    ("rdme_", Alphanumeric, 30),
    ("rubygems_", Hexadecimal, 24),
    ("sgp_", Hexadecimal, 40),
    // Monitoring, messages, payment.
    ("NRAK-", Alphanumeric, 20),
    ("PMAK-", UrlSafe, 30),
    ("SG.", Dotted, 40),
    ("dt0c01.", Dotted, 40),
    ("duffel_live_", UrlSafe, 30),
    ("duffel_test_", UrlSafe, 30),
    ("glc_", Base64, 32),
    ("glsa_", UrlSafe, 30),
    ("pscale_oauth_", Dotted, 16),
    ("pscale_pw_", Dotted, 16),
    ("pscale_tkn_", Dotted, 16),
    ("shippo_live_", Hexadecimal, 20),
    ("shippo_test_", Hexadecimal, 20),
    ("shpat_", Hexadecimal, 16),
    ("shpca_", Hexadecimal, 16),
    ("shppa_", Hexadecimal, 16),
    ("shpss_", Hexadecimal, 16),
    ("sntrys_", Base64, 20),
    ("sntryu_", Hexadecimal, 32),
    ("sq0atp-", UrlSafe, 20),
    ("sq0csp-", UrlSafe, 20),
    ("tfp_", Dotted, 40),
    ("xapp-", UrlSafe, 16),
    ("xkeysib-", UrlSafe, 32),
    ("xoxa-", UrlSafe, 8),
    ("xoxb-", UrlSafe, 8),
    ("xoxe-", UrlSafe, 8),
    ("xoxo-", UrlSafe, 8),
    ("xoxp-", UrlSafe, 8),
    ("xoxr-", UrlSafe, 8),
    ("xoxs-", UrlSafe, 8),
];

/// Returns the pattern of all forms. A form matches at the start of a word, with its prefix as listed or in upper case.
///
/// A search looks at most the minimum of a form beyond the end of a match, so that many matches in a text take linear
/// time.
pub(super) fn pattern() -> String {
    let forms: Vec<String> = KEY_FORMS.iter().flat_map(alternatives).collect();
    let forms = forms.join("|");
    format!(r"(?P<kept>^|[^A-Za-z0-9]|\\[nrt])(?:{forms})")
}

/// Returns the texts of which every match contains one, in any case.
pub(super) fn keywords() -> impl Iterator<Item = &'static str> {
    KEY_FORMS.iter().map(|(prefix, ..)| *prefix)
}

fn alternatives((prefix, alphabet, min): &KeyForm) -> impl Iterator<Item = String> + use<> {
    let (upper, class) = (prefix.to_ascii_uppercase(), alphabet.class());
    let form = |prefix: &str, min: usize| format!("{}{class}{{{min},}}", regex::escape(prefix));
    let shouted = (upper != *prefix).then(|| form(&upper, (*min).max(MIN_UPPER_CASE)));
    [form(prefix, *min)].into_iter().chain(shouted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::masks::{MASK, Masks};

    /// Returns characters of an alphabet that form no word.
    fn body(alphabet: Alphabet, length: usize) -> String {
        let characters = match alphabet {
            Hexadecimal => "9c4e1a7f30b8d265",
            _ => "x7Qk2Vd9mZt4Rw8LsB3Nf6Yh",
        };
        characters.chars().cycle().take(length).collect()
    }

    #[test]
    fn each_form_is_masked_from_its_minimum_length_on() {
        let masks = Masks::new(true, &[]).unwrap();
        for (prefix, alphabet, min) in KEY_FORMS {
            let upper = (prefix.to_ascii_uppercase(), (*min).max(MIN_UPPER_CASE));
            for (prefix, min) in [((*prefix).to_owned(), *min), upper] {
                let of = |length| format!("key {prefix}{} used", body(*alphabet, length));
                let shown = masks.apply(&of(min));
                assert_eq!(shown.as_deref(), Some("key [masked] used"), "{}", of(min));
                let text = of(min - 1);
                // Shorter forms of the same prefix exist.
                if !["pypi-AgE", "PYPI-AGE"].contains(&prefix.as_str()) {
                    assert_eq!(masks.apply(&text), None, "{text}");
                }
                let within = format!("x{prefix}{}", body(*alphabet, min));
                assert_eq!(masks.apply(&within), None, "{within}");
                let escaped = format!(r"line\n{prefix}{}", body(*alphabet, min));
                assert_eq!(masks.apply(&escaped), Some(format!(r"line\n{MASK}")));
            }
        }
    }

    #[test]
    fn the_forms_are_listed_once() {
        let mut prefixes: Vec<_> = keywords().collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), KEY_FORMS.len());
    }
}
