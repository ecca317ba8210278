//! One form for texts that look alike: what is compared, and what may be seen.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// The composed form (NFC, Unicode Standard Annex 15): what a keyboard writes in one way or another is the same text.
pub fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// As names and addresses are compared: without case, and without what Unicode calls compatibility (full width letters,
/// ligatures). About NFKC_Casefold; it leaves characters in place that can't be seen, which names don't have.
pub fn folded(text: &str) -> String {
    let upper: String = text.nfkc().collect::<String>().to_uppercase();
    upper.to_lowercase().nfkc().collect()
}

/// As words of names are looked for: [`folded`], without accents and other marks, white space as single spaces.
pub fn unaccented(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    for one in folded(text).nfd().filter(|one| !is_mark(*one)) {
        match one {
            one if one.is_whitespace() => {
                if !bare.ends_with(' ') && !bare.is_empty() {
                    bare.push(' ');
                }
            }
            // Letters with a stroke are letters of their own in Unicode; whoever can't type them types these.
            'ø' => bare.push('o'),
            'ł' => bare.push('l'),
            'đ' | 'ð' => bare.push('d'),
            'ħ' => bare.push('h'),
            'ŧ' => bare.push('t'),
            'ı' => bare.push('i'),
            'æ' => bare.push_str("ae"),
            'œ' => bare.push_str("oe"),
            'þ' => bare.push_str("th"),
            one => bare.push(one),
        }
    }
    bare.truncate(bare.trim_end().len());
    bare
}

/// Words of one name that it is found by at the most.
pub const NAME_WORDS_MAX: usize = 16;

/// What a name is found by: itself from its beginning, and from each letter or digit on that follows none, [`unaccented`].
pub fn name_words(name: &str) -> Vec<String> {
    let name = unaccented(name);
    let mut before = ' ';
    let mut starts = Vec::new();
    for (at, one) in name.char_indices() {
        if at == 0 || (one.is_alphanumeric() && !before.is_alphanumeric()) {
            starts.push(at);
        }
        before = one;
    }
    starts.into_iter().take(NAME_WORDS_MAX).map(|at| name[at..].to_owned()).collect()
}

/// What begins with a text, as a range of texts in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The text.
    pub from: String,
    /// Greater than all that begins with it: no character is greater than the one that ends it.
    pub below: String,
}

impl Prefix {
    /// The range of what begins with this text.
    pub fn of(text: String) -> Self {
        let below = format!("{text}\u{10ffff}");
        Self { from: text, below }
    }
}

/// Accents of Latin, Greek and Cyrillic, points and vowel signs of Hebrew and Arabic. In other scripts such marks are letters.
const fn is_mark(one: char) -> bool {
    matches!(one, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// Whether somebody sees anything of it.
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|one| !one.is_whitespace() && !is_hidden(one))
}

/// Whether a character of it can't be seen, or changes how others are seen (their direction, for instance).
pub fn has_hidden(text: &str) -> bool {
    text.chars().any(is_hidden)
}

/// Characters without a shape of their own: formats, controls, and those that a display leaves out, which Unicode calls
/// Default_Ignorable_Code_Point.
fn is_hidden(one: char) -> bool {
    let category = one.general_category();
    matches!(category, GeneralCategory::Control | GeneralCategory::Format | GeneralCategory::Unassigned)
        || matches!(one,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
}

/// An emoji as it is stored: with the selectors that Unicode calls fully qualified, whichever of them a client sent. What
/// is no emoji of Unicode stays as it is, but for selectors.
pub fn emoji(text: &str) -> Cow<'_, str> {
    if let Some(known) = emojis::get(text) {
        return Cow::Borrowed(known.as_str());
    }
    let bare: String = text.nfc().filter(|one| !matches!(one, '\u{fe0e}' | '\u{fe0f}')).collect();
    match emojis::get(&bare) {
        Some(known) => Cow::Borrowed(known.as_str()),
        None if bare == text => Cow::Borrowed(text),
        None => Cow::Owned(bare),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_of_what_looks_alike() {
        assert_eq!(composed("ju\u{308}rgen"), "jürgen");
        assert!(matches!(composed("jürgen"), Cow::Borrowed(_)));
        for (one, other) in
            [("JÜRGEN", "ju\u{308}rgen"), ("straße", "STRASSE"), ("ﬁn", "FIN"), ("Ａda", "ada")]
        {
            assert_eq!(folded(one), folded(other), "{one} and {other}");
        }
        assert_ne!(folded("ada"), folded("adä"));
    }

    #[test]
    fn words_are_found_without_accents() {
        for (name, bare) in [
            ("Åsa  Öberg", "asa oberg"),
            ("A\u{30a}sa", "asa"),
            ("Łukasz Ørsted", "lukasz orsted"),
            ("STRASSE straße", "strasse strasse"),
            ("Ἀθηνᾶ", "αθηνα"),
            ("مُحَمَّد", "محمد"),
            ("हिन्दी", "हिन्दी"),
            (" \t", ""),
            ("100%", "100%"),
        ] {
            assert_eq!(unaccented(name), bare, "{name}");
        }
    }

    #[test]
    fn something_is_to_be_seen() {
        for nothing in
            ["", " ", "\u{200b}", "\u{202e}", "\u{ad}\u{feff}", "\u{3164}\u{2003}", "\u{fe0f}", "\u{2800}"]
        {
            assert!(!is_visible(nothing), "{nothing:?}");
        }
        for something in ["a", ".", "👍", "👩\u{200d}🚀", " \u{200f}ש"] {
            assert!(is_visible(something), "{something:?}");
        }
        assert!(has_hidden("jür\u{ad}gen") && has_hidden("\u{202e}a") && !has_hidden("jürgen+1@example.org"));
    }

    #[test]
    fn an_emoji_is_one_with_any_selector() {
        for (sent, stored) in [
            ("\u{2764}", "\u{2764}\u{fe0f}"),
            ("\u{2764}\u{fe0f}", "\u{2764}\u{fe0f}"),
            ("\u{2764}\u{fe0e}", "\u{2764}\u{fe0f}"),
            ("👍\u{fe0f}", "👍"),
            ("👍🏽", "👍🏽"),
            ("👁\u{200d}🗨", "👁\u{fe0f}\u{200d}🗨\u{fe0f}"),
            ("🇩🇪", "🇩🇪"),
            ("+1", "+1"),
            (":party:", ":party:"),
        ] {
            assert_eq!(emoji(sent), stored, "{sent:?}");
        }
    }

    #[test]
    fn all_emoji_of_unicode_are_found_without_selectors() {
        for known in emojis::iter() {
            let bare: String = known.as_str().chars().filter(|one| *one != '\u{fe0f}').collect();
            assert_eq!(emoji(&bare), known.as_str());
        }
    }

    #[test]
    fn a_name_begins_with_each_of_its_words() {
        for (name, expected) in [
            ("", &[][..]),
            ("Ada", &["ada"]),
            (
                "Åsa  von Öberg-Nyström",
                &["asa von oberg-nystrom", "von oberg-nystrom", "oberg-nystrom", "nystrom"],
            ),
            ("ada.lovelace_2", &["ada.lovelace_2", "lovelace_2", "2"]),
            ("*_ada", &["*_ada", "ada"]),
            ("O’Brien", &["o’brien", "brien"]),
        ] {
            assert_eq!(name_words(name), expected, "{name}");
        }
        assert_eq!(name_words(&"a ".repeat(100)).len(), NAME_WORDS_MAX);
    }
}
