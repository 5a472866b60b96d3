//! Tells credentials from words and counts, since most values called `token` in a service for language models are none.

/// The minimum length of a credential in bytes.
pub(super) const MIN_BYTES: usize = 8;
/// The maximum length of a word without digits and without separators.
const MAX_WORD_BYTES: usize = 16;

/// Returns `true` if the value of a field called token looks like a credential: letters mixed with digits, or letters that
/// form no word.
pub(super) fn is_credential(text: &str) -> bool {
    if text.len() < MIN_BYTES || text.contains(char::is_whitespace) {
        return false;
    }
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    let has_letters = has(u8::is_ascii_alphabetic);
    if !has_letters {
        return false;
    }
    if has(u8::is_ascii_digit) {
        return true;
    }
    let words = text.split(|c: char| !c.is_ascii_alphabetic());
    let changes = text
        .as_bytes()
        .windows(2)
        .filter(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase());
    // In random letters, about every fourth pair changes to upper case; in `UnexpectedEndOfInput`, every sixth.
    changes.count() * 5 > text.len()
        || words.into_iter().any(|word| {
            let is_camel = has_both_cases(word);
            word.len() >= MAX_WORD_BYTES && !is_camel
        })
}

fn has_both_cases(word: &str) -> bool {
    let inner = word.bytes().skip(1);
    inner.clone().any(|byte| byte.is_ascii_uppercase())
        && inner.clone().any(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_mixed_with_digits_are_a_credential_and_words_and_counts_are_not() {
        for credential in [
            "abcdef0123456789",
            "s3cr3tvalue",
            "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11",
            "abcdefghijklmnopqrst",
            "aBcDeFgHiJkL",
        ] {
            assert!(is_credential(credential), "{credential}");
        }
        for other in [
            "512",
            "1732480000000",
            "512/1024",
            "expired",
            "unexpected",
            "UnexpectedEndOfInput",
            "end_of_input_reached",
            "<|endoftext|>",
            "a1",
            "two words 2",
        ] {
            assert!(!is_credential(other), "{other}");
        }
    }
}
