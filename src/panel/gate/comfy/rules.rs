//! What is done with the inputs of nodes that hold paths: the table `nodes.txt`, and before it the rows that this studio's
//! admin has written. Pure; knows no graph.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Words that an input's name ends in where it says where something is read or written, as far as names tell.
const PLACES: [&str; 14] = [
    "path",
    "paths",
    "dir",
    "dirs",
    "folder",
    "folders",
    "directory",
    "directories",
    "file",
    "files",
    "filename",
    "filenames",
    "glob",
    "destination",
];
/// The same for addresses, under which this ComfyUI itself may be found.
const ADDRESSES: [&str; 4] = ["url", "urls", "uri", "endpoint"];
/// Words that only end like those.
const NO_PLACES: [&str; 4] = ["profile", "profiles", "curl", "curls"];

/// What is done with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Begins the names of files that are saved.
    Prefix,
    /// One plain name.
    Name,
    /// A folder.
    Folder,
    /// A file that is read.
    File,
    /// The same of a text.
    Text,
    /// What the name of a text file ends in.
    Extension,
    /// A name in a store that all share.
    Key,
    /// The same in a store for all but texts.
    Store,
    /// A number or a switch, and no text.
    Number,
    /// Letters, digits, `_` and `-`.
    Word,
    /// Anything: the node does no harm with it.
    Pass,
    /// Any path of the machine, or more: the class is an admin's.
    Never,
}

impl Treatment {
    fn parse(word: &str) -> Option<Treatment> {
        Some(match word {
            "prefix" => Treatment::Prefix,
            "name" => Treatment::Name,
            "folder" => Treatment::Folder,
            "file" => Treatment::File,
            "text" => Treatment::Text,
            "extension" => Treatment::Extension,
            "key" => Treatment::Key,
            "store" => Treatment::Store,
            "number" => Treatment::Number,
            "word" => Treatment::Word,
            "pass" => Treatment::Pass,
            "never" => Treatment::Never,
            _ => return None,
        })
    }
}

/// Rows by their input.
type Inputs = HashMap<String, Treatment>;

/// A table.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Of one class.
    classes: HashMap<String, Inputs>,
    /// Of classes whose names begin and end so.
    families: Vec<(String, String, Inputs)>,
    /// Of every class.
    every: Inputs,
    /// How many rows there are.
    rows: usize,
}

static BUILT_IN: LazyLock<Table> =
    LazyLock::new(|| Table::parse(include_str!("nodes.txt")).expect("a test reads the table that is built in"));

impl Table {
    /// Reads a table; the number of the first line that says nothing that is known.
    pub(super) fn parse(text: &str) -> Result<Table, usize> {
        let mut table = Table::default();
        let lines = text.lines().map(str::trim).enumerate();
        for (i, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let row = (words.next(), words.next(), words.next().and_then(Treatment::parse), words.next());
            let (Some(class), Some(input), Some(treatment), None) = row else { return Err(i + 1) };
            table.inputs(class).insert(decoded(input), treatment);
            table.rows += 1;
        }
        Ok(table)
    }

    fn inputs(&mut self, class: &str) -> &mut Inputs {
        let Some((start, end)) = class.split_once('*') else { return self.classes.entry(decoded(class)).or_default() };
        let (start, end) = (decoded(start), decoded(end));
        if start.is_empty() && end.is_empty() {
            return &mut self.every;
        }
        let at = self.families.iter().position(|(s, e, _)| *s == start && *e == end).unwrap_or_else(|| {
            self.families.push((start, end, Inputs::new()));
            self.families.len() - 1
        });
        &mut self.families[at].2
    }

    /// What rows that name the class say, one of the input before one of all its inputs.
    fn of_class(&self, class: &str, input: &str) -> Option<Treatment> {
        let family = |(start, end, _): &&(String, String, Inputs)| {
            class.len() >= start.len() + end.len() && class.starts_with(start) && class.ends_with(end)
        };
        let families = self.families.iter().filter(family).map(|(_, _, inputs)| inputs);
        let all = self.classes.get(class).into_iter().chain(families);
        let found: Vec<&Inputs> = all.collect();
        let of = |input: &str| found.iter().find_map(|inputs| inputs.get(input)).copied();
        of(input).or_else(|| of("*"))
    }

    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    #[cfg(test)]
    pub(super) fn built_in() -> &'static Table {
        &BUILT_IN
    }
}

/// A name as it is written in a table: + for a blank, ++ for a plus.
fn decoded(word: &str) -> String {
    word.replace("++", "\0").replace('+', " ").replace('\0', "+")
}

/// The same the other way round.
pub(super) fn encoded(name: &str) -> String {
    name.replace('+', "++").replace(' ', "+")
}

/// Both tables.
#[derive(Debug, Default)]
pub(super) struct Rules {
    own: Table,
}

impl Rules {
    /// The studio's own rows before those that Easel knows.
    pub(super) fn with(own: Table) -> Rules {
        Rules { own }
    }

    /// What is done with an input. A row that names the class counts more than one for all.
    pub(super) fn of(&self, class: &str, input: &str) -> Option<Treatment> {
        let named = self.own.of_class(class, input).or_else(|| BUILT_IN.of_class(class, input));
        named.or_else(|| self.own.every.get(input).or_else(|| BUILT_IN.every.get(input)).copied())
    }

    /// Whether a class is of a store for all but texts.
    pub(super) fn keeps(&self, class: &str) -> bool {
        self.of(class, "key") == Some(Treatment::Store)
    }

    /// Whether a class is an admin's.
    pub(super) fn bars(&self, class: &str) -> bool {
        self.of(class, "*") == Some(Treatment::Never)
    }
}

/// Whether an input says by its name where something is read or written.
pub(super) fn says_where(input: &str) -> bool {
    ends_in(input, &PLACES) || is_address(input)
}

/// Whether an input says so of an address.
pub(super) fn is_address(input: &str) -> bool {
    ends_in(input, &ADDRESSES)
}

/// Whether a text is written as a path, and not as something that is said: what stands in an input at first tells more than
/// its name.
pub(super) fn is_path(text: &str) -> bool {
    let drive = text.get(1..3).is_some_and(|s| s == ":\\" || s == ":/");
    let folder = ["./", "../", "~/", "input/", "output/", "temp/", "models/"].iter().any(|start| text.starts_with(start));
    // A slash at both ends is a regular expression's.
    let root = text.starts_with('/') && text.len() > 2 && !text.ends_with('/');
    (drive || folder || root) && !text.contains(char::is_whitespace)
}

/// Whether one of the words of a name ends in one of these.
fn ends_in(input: &str, ends: &[&str]) -> bool {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in input.chars() {
        // A new word begins at whatever is no letter, and at a capital behind a small one.
        if !c.is_alphabetic() || (c.is_uppercase() && small) {
            words.push(String::new());
        }
        small = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_lowercase());
        }
    }
    words.iter().any(|word| ends.iter().any(|end| word.ends_with(end)) && !NO_PLACES.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read() {
        let text = include_str!("nodes.txt");
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        assert_eq!((Table::parse(text).unwrap().rows(), Table::built_in().rows()), (lines, lines));
    }

    #[test]
    fn rows_of_the_studio_come_before_easels_and_rows_of_a_class_before_those_of_all() {
        let none = Rules::default();
        assert!(none.bars("CopyFiles|Mie") && none.of("ANode", "filename_prefix") == Some(Treatment::Prefix));
        assert_eq!(none.of("Save Image w/Metadata", "path"), Some(Treatment::Folder), "blanks are written as +");
        let text = "# ours\nCopyFiles|Mie * pass\nMy++Node+s a+b pass\nfal_* url pass\n\n* loose_path name\n";
        let rules = Rules::with(Table::parse(text).unwrap());
        assert!(!rules.bars("CopyFiles|Mie") && rules.bars("DeleteFiles|Mie"));
        assert_eq!(rules.of("My+Node s", "a b"), Some(Treatment::Pass));
        assert_eq!((rules.of("fal_x", "url"), rules.of("xfal_", "url")), (Some(Treatment::Pass), None));
        assert_eq!(rules.of("Any", "loose_path"), Some(Treatment::Name));
        assert_eq!(encoded("My+Node s"), "My++Node+s");
    }

    #[test]
    fn a_line_that_says_nothing_is_told() {
        for (text, line) in [("a b pass\nA B", 2), ("a b maybe", 1), ("\n\na b pass more", 3)] {
            assert_eq!(Table::parse(text).unwrap_err(), line, "{text}");
        }
    }

    #[test]
    fn names_tell_where_something_lies() {
        for name in
            ["source_directory", "path", "imagePath", "savepath", "outputdir", "root_dir", "file_name_file", "URL", "image_urls"]
        {
            assert!(says_where(name), "{name}");
        }
        assert!(is_address("api_url") && !is_address("path"));
        for name in ["direction", "gradient_profile", "profile", "text", "curl_strength", "prefix", "pathology", "seed"] {
            assert!(!says_where(name), "{name}");
        }
        for path in ["X://insert/path/here.png", "C:\\x", "/path/to/image.jpg", "./ComfyUI/input/", "output/abc", "~/x"] {
            assert!(is_path(path), "{path}");
        }
        for text in ["", "/", "//", "/cat|dog/", "a/b", "deepseek-ai/DeepSeek-V3", "/imagine a cat", "\\n", "((a + b) - c) / 2"] {
            assert!(!is_path(text), "{text}");
        }
    }
}
