//! YAML of one plain shape: block maps and lists, comments before keys, text quoted wherever a reader could take it for anything else.
//!
//! It writes what the YAML 1.1 of kubectl and the YAML 1.2 of everybody else read alike, and it reads nothing.

/// Columns of a comment, its mark included.
const COLUMNS: usize = 110;

/// Words that some YAML takes for no text (`yes` is true, `~` is null).
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Text, whatever it looks like.
    Text(String),
    /// A number.
    Count(u64),
    /// `true` or `false`.
    Switch(bool),
    /// Keys and values, in their order.
    Map(Map),
    /// Values, in their order.
    List(Vec<Node>),
}

/// Keys and values, in their order, each with the comments before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    entries: Vec<(Vec<String>, String, Node)>,
    notes: Vec<String>,
}

/// An empty map.
pub(super) fn map() -> Map {
    Map::default()
}

/// A list of things that are values.
pub(super) fn list<T: Into<Node>>(items: impl IntoIterator<Item = T>) -> Node {
    Node::List(items.into_iter().map(Into::into).collect())
}

impl Map {
    /// One key more.
    pub(super) fn with(mut self, key: &str, value: impl Into<Node>) -> Self {
        let notes = std::mem::take(&mut self.notes);
        self.entries.push((notes, key.to_owned(), value.into()));
        self
    }

    /// One key more, where there is a value.
    pub(super) fn maybe(self, key: &str, value: Option<impl Into<Node>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// A comment before the next key.
    pub(super) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Comments before the next key.
    pub(super) fn notes(self, texts: impl IntoIterator<Item = String>) -> Self {
        texts.into_iter().fold(self, Self::note)
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (notes, key, value) in &self.entries {
            lines.extend(notes.iter().flat_map(|note| comment(note)));
            let key = scalar(key);
            match value.lines() {
                Written::Scalar(text) => lines.push(format!("{key}: {text}")),
                Written::Block(block) => {
                    lines.push(format!("{key}:"));
                    lines.extend(block.into_iter().map(|line| format!("  {line}")));
                }
            }
        }
        lines.extend(self.notes.iter().flat_map(|note| comment(note)));
        lines
    }

    /// The map as a document, with comments at its head.
    pub(super) fn document(&self, head: &[String]) -> String {
        let mut lines: Vec<String> = head.iter().flat_map(|note| comment(note)).collect();
        lines.extend(self.lines());
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}

enum Written {
    Scalar(String),
    Block(Vec<String>),
}

impl Node {
    fn lines(&self) -> Written {
        match self {
            Self::Text(text) => Written::Scalar(scalar(text)),
            Self::Count(count) => Written::Scalar(count.to_string()),
            Self::Switch(switch) => Written::Scalar(switch.to_string()),
            Self::Map(map) if map.entries.is_empty() => Written::Scalar("{}".to_owned()),
            Self::Map(map) => Written::Block(map.lines()),
            Self::List(items) if items.is_empty() => Written::Scalar("[]".to_owned()),
            Self::List(items) => Written::Block(items.iter().flat_map(Self::item).collect()),
        }
    }

    /// A value as one of a list: the mark before its first line that is no comment, everything after it beneath.
    fn item(&self) -> Vec<String> {
        let block = match self.lines() {
            Written::Scalar(text) => return vec![format!("- {text}")],
            Written::Block(block) => block,
        };
        let mut marked = false;
        let mark = |line: String| {
            if marked {
                format!("  {line}")
            } else if line.starts_with('#') {
                line
            } else {
                marked = true;
                format!("- {line}")
            }
        };
        block.into_iter().map(mark).collect()
    }
}

/// Text without quotes where nobody can take it for anything else, in quotes otherwise.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_./-".contains(letter))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            ' '..='~' => quoted.push(letter),
            _ => quoted.push_str(&match u32::from(letter) {
                code @ 0..=0xff => format!("\\x{code:02x}"),
                code @ 0x100..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
    }
    quoted.push('"');
    quoted
}

/// A comment, broken at spaces.
fn comment(text: &str) -> Vec<String> {
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(|letter| !letter.is_control()).collect();
        match lines.last_mut() {
            Some(line) if line.len() == 1 || line.chars().count() + 1 + word.chars().count() <= COLUMNS => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Node {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<u32> for Node {
    fn from(count: u32) -> Self {
        Self::Count(count.into())
    }
}

impl From<u16> for Node {
    fn from(count: u16) -> Self {
        Self::Count(count.into())
    }
}

impl From<bool> for Node {
    fn from(switch: bool) -> Self {
        Self::Switch(switch)
    }
}

impl From<Map> for Node {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn value(node: &Node) -> Value {
        match node {
            Node::Text(text) => json!(text),
            Node::Count(count) => json!(count),
            Node::Switch(switch) => json!(switch),
            Node::Map(map) => map.entries.iter().map(|(_, key, node)| (key.clone(), value(node))).collect(),
            Node::List(items) => items.iter().map(value).collect(),
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[ -~]{0,12}",
            prop::sample::select(vec![
                "yes",
                "NO",
                "~",
                "null",
                "1",
                "1e3",
                "0x1f",
                "2026-11-23",
                ".nan",
                "- a",
                "a: b",
                "a #b",
                "",
                " ",
                "y",
                "é\u{85}\u{feff}",
                "\u{1f600}"
            ])
            .prop_map(str::to_owned),
        ]
    }

    fn node() -> impl Strategy<Value = Node> {
        let leaf = prop_oneof![
            text().prop_map(Node::Text),
            (0..1_u64 << 53).prop_map(Node::Count),
            any::<bool>().prop_map(Node::Switch)
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Node::List),
                filled(inner).prop_map(Node::Map),
            ]
        })
    }

    fn filled(inner: impl Strategy<Value = Node>) -> impl Strategy<Value = Map> {
        let entry = (prop::collection::vec(any::<String>(), 0..2), inner);
        prop::collection::btree_map(text(), entry, 0..4).prop_map(|entries| {
            entries.into_iter().fold(map(), |map, (key, (notes, node))| map.notes(notes).with(&key, node))
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(node in filled(node()), head: String) {
            let written = map().with("root", node.clone()).document(&[head]);
            let read: Value = serde_norway::from_str(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            prop_assert_eq!(read, json!({ "root": value(&Node::Map(node)) }), "{}", written);
        }
    }

    #[test]
    fn it_reads_well() {
        let inner = map().note("for the first of the pair").with("name", "net.core.somaxconn").with("value", "128");
        let document = map()
            .with("kind", "List")
            .note("a long remark that goes on, and on, and on, until it does not fit into a hundred and ten columns of a line and is broken")
            .with("items", list([Node::from(inner), list(["on", "off it"]), map().into()]));
        assert_eq!(
            document.document(&["head".to_owned()]),
            "# head\nkind: List\n# a long remark that goes on, and on, and on, until it does not fit into a hundred and ten columns of a line\n\
             # and is broken\nitems:\n  # for the first of the pair\n  - name: net.core.somaxconn\n    value: \"128\"\n  \
             - - \"on\"\n    - \"off it\"\n  - {}\n"
        );
    }
}
