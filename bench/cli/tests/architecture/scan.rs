//! A small reader of Rust source: just enough to know which paths a file names, where its tests are, and nothing of
//! what stands in comments and strings. It is no parser; it reads files that rustc has accepted.

/// A word (`crate`, `plan`), `::`, or a single other character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// One path as it is written, `use` groups spread out: `use std::{fs, net::IpAddr}` gives two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// Its words; a glob ends in `*`.
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// The modules opened with `mod name {` around it, outermost first.
    pub(crate) inside: Vec<String>,
    /// Whether it stands in an item under `#[cfg(test)]`.
    pub(crate) in_tests: bool,
}

/// What a file says of itself.
pub(crate) struct Scan {
    pub(crate) paths: Vec<NamedPath>,
    /// Lines that are not in an item under `#[cfg(test)]`.
    pub(crate) lines_before_tests: usize,
    /// `#[cfg(test)] mod name;`: modules in files of their own that exist for tests only.
    pub(crate) test_modules: Vec<String>,
}

pub(crate) fn scan(source: &str) -> Scan {
    let tokens = tokens(source);
    let tests = test_items(&tokens);
    let test_lines: usize = tests.iter().map(|item| tokens[item.1].line - tokens[item.0].line + 1).sum();
    let test_modules = tests
        .iter()
        .filter(|item| tokens[item.1].text == ";")
        .filter_map(|item| {
            let words = &tokens[item.0..item.1];
            let at = words.iter().position(|token| token.text == "mod")?;
            words.get(at + 1).map(|token| token.text.clone())
        })
        .collect();
    Scan { paths: paths(&tokens, &tests), lines_before_tests: source.lines().count() - test_lines, test_modules }
}

/// Cuts a source into tokens, without comments, literals and lifetimes.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let next = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n)
            }
            '/' if chars.get(at + 1) == Some(&'*') => after_block_comment(&chars, at),
            '"' => after_string(&chars, at),
            '\'' => after_quote(&chars, at),
            c if c.is_alphanumeric() || c == '_' => {
                let end = after_word(&chars, at);
                let word: String = chars[at..end].iter().collect();
                match after_prefixed_literal(&chars, &word, end) {
                    Some(end) => end,
                    None => {
                        found.push(Token { text: word, line });
                        end
                    }
                }
            }
            ':' if chars.get(at + 1) == Some(&':') => {
                found.push(Token { text: "::".to_owned(), line });
                at + 2
            }
            c => {
                if !c.is_whitespace() {
                    found.push(Token { text: c.to_string(), line });
                }
                at + 1
            }
        };
        line += chars[at..next].iter().filter(|c| **c == '\n').count();
        at = next;
    }
    found
}

fn after_word(chars: &[char], from: usize) -> usize {
    let length = chars[from..].iter().position(|c| !c.is_alphanumeric() && *c != '_');
    length.map_or(chars.len(), |n| from + n)
}

fn after_block_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn after_string(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// After a character literal; of a lifetime only the quote is left out.
fn after_quote(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), Some(_)) => {
            chars[from + 3..].iter().position(|c| *c == '\'').map_or(chars.len(), |n| from + 3 + n + 1)
        }
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}

/// After a literal that begins with `word` (`r"…"`, `r#"…"#`, `b"…"`, `b'…'`, `br"…"`, `c"…"`); `None` for a plain word.
fn after_prefixed_literal(chars: &[char], word: &str, from: usize) -> Option<usize> {
    if !matches!(word, "r" | "b" | "br" | "c" | "cr") {
        return None;
    }
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    match chars.get(from + hashes)? {
        '"' if word.ends_with('r') => {
            let mut at = from + hashes + 1;
            while at < chars.len() {
                if chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
                    return Some(at + 1 + hashes);
                }
                at += 1;
            }
            Some(chars.len())
        }
        '"' if hashes == 0 => Some(after_string(chars, from)),
        '\'' if hashes == 0 && word == "b" => Some(after_quote(chars, from)),
        // `r#type` is a word like any other: the `#` is dropped with the `r`.
        c if word == "r" && hashes == 1 && (c.is_alphanumeric() || *c == '_') => Some(from + 1),
        _ => None,
    }
}

/// The first and last token of each item under `#[cfg(test)]`, the attribute included.
fn test_items(tokens: &[Token]) -> Vec<(usize, usize)> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut found: Vec<(usize, usize)> = Vec::new();
    for start in 0..tokens.len() {
        let here = tokens[start..].iter().map(|token| token.text.as_str());
        let nested = found.last().is_some_and(|item| start <= item.1);
        if !nested && here.take(ATTRIBUTE.len()).eq(ATTRIBUTE) {
            found.push((start, end_of_item(tokens, start + ATTRIBUTE.len())));
        }
    }
    found
}

/// The token that closes the item beginning at `from`: its `;`, or the bracket that matches its first `{`.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                // The braces of `use a::{b, c};` do not end an item, its `;` does.
                let more = tokens.get(at + 1).is_some_and(|next| next.text == ";");
                if depth == 0 && token.text == "}" && !more {
                    return at;
                }
            }
            ";" if depth == 0 => return at,
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

fn paths(tokens: &[Token], tests: &[(usize, usize)]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    let (mut inside, mut depth): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut at = 0;
    while at < tokens.len() {
        match text(at) {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inside.pop_if(|module| module.1 == depth);
            }
            "mod" if text(at + 2) == "{" => inside.push((text(at + 1).to_owned(), depth)),
            word if is_word(word) => {
                let mut spread = Vec::new();
                let end = spread_path(tokens, at, &mut Vec::new(), &mut spread);
                let modules: Vec<String> = inside.iter().map(|module| module.0.clone()).collect();
                let in_tests = tests.iter().any(|item| item.0 <= at && at <= item.1);
                found.extend(spread.into_iter().map(|(segments, line)| NamedPath {
                    segments,
                    line,
                    inside: modules.clone(),
                    in_tests,
                }));
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads the path that begins at `at`, with its groups, after `prefix`; returns the token after it.
fn spread_path(
    tokens: &[Token],
    mut at: usize,
    prefix: &mut Vec<String>,
    found: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let outer = prefix.len();
    let line = tokens[at].line;
    loop {
        prefix.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" || !(is_word(text(at + 1)) || matches!(text(at + 1), "*" | "{")) {
            break;
        }
        at += 1;
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                if is_word(text(at)) || text(at) == "*" {
                    at = spread_path(tokens, at, prefix, found);
                    // `as name` is another name for the same path.
                    at += if text(at) == "as" { 2 } else { 0 };
                } else {
                    at += 1;
                }
            }
            prefix.truncate(outer);
            return at + 1;
        }
    }
    // `use a::{self}` names `a`.
    if outer > 0 && prefix.last().is_some_and(|word| word == "self") {
        prefix.pop();
    }
    found.push((prefix.clone(), line));
    prefix.truncate(outer);
    at
}

mod tests {
    use super::*;

    fn named(source: &str) -> Vec<String> {
        scan(source).paths.iter().map(|path| path.segments.join("::")).filter(|path| path.contains("::")).collect()
    }

    #[test]
    fn groups_are_spread_out() {
        let source = "use std::{fs, net::{IpAddr, TcpStream as T}, io::{self, Read}, time::*};";
        assert_eq!(
            named(source),
            ["std::fs", "std::net::IpAddr", "std::net::TcpStream", "std::io", "std::io::Read", "std::time::*"]
        );
    }

    #[test]
    fn comments_strings_and_lifetimes_name_nothing() {
        let source = r###"
            //! [`crate::live`]
            /* crate::live /* nested crate::live */ crate::live */
            fn f<'a>(x: &'a str) -> char { let _ = ("crate::live \" crate::live", r#"crate::live"#, b'\'', '"', br"a::b"); '\u{1F}' }
            fn g() { crate::plan::cell() }
        "###;
        assert_eq!(named(source), ["crate::plan::cell"]);
    }

    #[test]
    fn a_path_knows_its_line_its_module_and_whether_it_is_a_test() {
        let source = "fn a() {}\nmod inner {\n    use super::super::x::Y;\n}\n#[cfg(test)]\nmod tests {\n    use crate::z::Z;\n}\nuse crate::w::W;\n";
        let scan = scan(source);
        let of = |last: &str| {
            scan.paths.iter().find(|path| path.segments.last().is_some_and(|word| word == last)).expect("named").clone()
        };
        assert_eq!((of("Y").line, of("Y").inside, of("Y").in_tests), (3, vec!["inner".to_owned()], false));
        assert_eq!((of("Z").line, of("Z").inside, of("Z").in_tests), (7, vec!["tests".to_owned()], true));
        assert_eq!((of("W").line, of("W").inside, of("W").in_tests), (9, vec![], false));
        assert_eq!(scan.lines_before_tests, 5);
    }

    #[test]
    fn a_test_item_ends_where_it_ends() {
        let scan = scan("#[cfg(test)]\nuse a::{b, c};\n#[cfg(test)]\nmod samples;\nfn f() { d::e() }\n");
        assert_eq!(scan.lines_before_tests, 1);
        assert_eq!(scan.test_modules, ["samples"]);
        assert!(scan.paths.iter().any(|path| path.segments == ["d", "e"] && !path.in_tests));
    }
}
