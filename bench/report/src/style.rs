//! Colours of a terminal, put into a text that is still to be laid out.
//!
//! A marker is a character of no width, so that a table is measured and broken as if it were not there; [`painted`] turns the markers
//! into the escape sequences of ECMA-48 (8.3.117, select graphic rendition), [`plain`] takes them out.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Green,
    Yellow,
    Red,
    Magenta,
}

/// Each style's marker, one of the invisible operators of Unicode that nobody writes, and its parameter.
const STYLES: [(Style, char, u8); 5] = [
    (Style::Bold, '\u{2061}', 1),
    (Style::Green, '\u{2062}', 32),
    (Style::Yellow, '\u{2063}', 33),
    (Style::Red, '\u{2064}', 31),
    (Style::Magenta, '\u{206a}', 35),
];

/// Where a style ends.
const END: char = '\u{2060}';

/// The text with its markers, line by line.
pub(crate) fn styled(text: &str, style: Style) -> String {
    let Some((_, marker, _)) = STYLES.iter().find(|(each, ..)| *each == style) else { return text.to_owned() };
    let line = |line: &str| format!("{marker}{line}{END}");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

pub(crate) fn painted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match STYLES.iter().find(|(_, marker, _)| *marker == c) {
            Some((.., parameter)) => out.push_str(&format!("\u{1b}[{parameter}m")),
            None if c == END => out.push_str("\u{1b}[0m"),
            None => out.push(c),
        }
    }
    out
}

pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|c| *c != END && STYLES.iter().all(|(_, marker, _)| marker != c)).collect()
}

#[cfg(test)]
mod tests {
    use comfy_table::Table;

    use super::*;

    #[test]
    fn a_marked_text_is_laid_out_like_a_plain_one() {
        let table = |text: &str| {
            let mut table = Table::new();
            table.add_row([text, "next"]);
            table.trim_fmt()
        };
        for (style, ..) in STYLES {
            assert_eq!(plain(&table(&styled("up\ndown", style))), table("up\ndown"));
        }
        assert_eq!(painted(&styled("up\ndown", Style::Red)), "\u{1b}[31mup\u{1b}[0m\n\u{1b}[31mdown\u{1b}[0m");
    }
}
