//! Names of merchants.

/// Lower case, no space around, single spaces inside.
pub(crate) fn normalise(name: &str) -> String {
    words(name).map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// What stands between white space.
pub(crate) fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split_whitespace()
}

/// Feature hashing (K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009): each word adds
/// 1 or -1 to one of four places; the sum is scaled to length 1. Zeros if there is no word, or if they cancel out.
pub(crate) fn embedding(words: &[String]) -> [f32; 4] {
    let mut sums = [0.0_f32; 4];
    for word in words {
        let hash = fnv1a(word.as_bytes());
        // The top bits are mixed best; the sign must not come from those that choose the place.
        sums[(hash >> 62) as usize] += if hash >> 61 & 1 == 1 { 1.0 } else { -1.0 };
    }
    let length = sums.iter().map(|sum| sum * sum).sum::<f32>().sqrt();
    if length > 0.0 { sums.map(|sum| sum / length) } else { sums }
}

/// FNV-1a with 64 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>), and one round of mixing (MurmurHash3's
/// finaliser), as FNV's top bits are weak for short words.
fn fnv1a(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_in_every_script() {
        assert_eq!(normalise("\tCAFÉ  Ñandú\u{a0}"), "café ñandú");
        assert_eq!(normalise("寿司\u{3000}さくら"), "寿司 さくら");
        assert_eq!(normalise("🍕 Pizza"), "🍕 pizza");
        assert_eq!(normalise("   "), "");
    }

    #[test]
    fn embeddings_have_length_one_and_depend_on_the_words_alone() {
        let of = |text: &str| embedding(&words(text).map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of(""), [0.0; 4]);
        assert_eq!(of("café ñandú"), of("ñandú café"));
        let places: std::collections::HashSet<_> = ["bar", "café", "kiosk", "pizza", "sushi", "taxi", "books", "shoes"]
            .map(|word| of(word).map(f32::to_bits))
            .into();
        assert!(places.len() > 3, "{places:?}");
        for text in ["bar", "bar pizza sushi", "a b c d e f g"] {
            let length: f32 = of(text).iter().map(|value| value * value).sum();
            assert!(length == 0.0 || (length - 1.0).abs() < 1e-6, "{text}: {length}");
        }
    }
}
