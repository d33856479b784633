//! The INI dialect of Python's `configparser`, in which both Python clients keep `stored_tokens`. Pure.
//!
//! Only what the clients use is here: no interpolation, strict about duplicates, `=` and `:` as
//! separators, `#` and `;` at the start of a line as comments, indented continuation lines, a
//! `[DEFAULT]` section whose keys all others inherit (Python library reference, "configparser").
//! INI crates differ from it in one or more of: continuation lines, blanks inside section names,
//! `;` inside a value, duplicates as errors. A token file that is read differently loses tokens, so
//! this parser is our own; a test compares it with Python itself.

use std::collections::{HashMap, HashSet};
use std::fmt;

use zeroize::Zeroizing;

/// The section whose keys all others inherit.
const DEFAULT_SECTION: &str = "DEFAULT";

/// Options in file order: lower-case name and value. Values are secrets and wiped on drop.
pub type Options = Vec<(String, Zeroizing<String>)>;

/// A parsed file. `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ini {
    defaults: Options,
    sections: Vec<(String, Options)>,
    /// Where each section stands: a file may be made of nothing but sections.
    places: HashMap<String, usize>,
}

/// A text that `configparser` refuses. It carries no part of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct IniError {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// White space as Python's `str.strip` and `\s` know it: Unicode's, and four ASCII separators.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Lines as Python's text files give them: ended by LF, CR LF or CR.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match text.find(['\r', '\n']) {
            Some(at) => {
                let ending = if text[at..].starts_with("\r\n") { 2 } else { 1 };
                rest = Some(&text[at + ending..]);
                Some(&text[..at])
            }
            None => {
                rest = None;
                (!text.is_empty()).then_some(text)
            }
        }
    })
}

/// The name in `[name]`: up to the last bracket, so that names may hold brackets. What follows the
/// bracket is ignored.
fn section_header(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?;
    let end = inner.rfind(']')?;
    (end > 0).then(|| &inner[..end])
}

/// `name = value` or `name: value`, whichever separator comes first.
fn option_line(line: &str) -> Option<(String, &str)> {
    let at = line.find(['=', ':'])?;
    let name = line[..at].trim_end_matches(is_space).to_lowercase();
    Some((name, line[at + 1..].trim_matches(is_space)))
}

/// Where the next option goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Defaults,
    Section(usize),
}

struct Parser {
    ini: Ini,
    place: Place,
    /// Whether the last option can take continuation lines.
    in_option: bool,
    indent: usize,
    /// Names of the options so far of the section at hand, and of `[DEFAULT]`.
    names: HashSet<String>,
    default_names: HashSet<String>,
}

impl Parser {
    fn options(&mut self) -> Option<&mut Options> {
        match self.place {
            Place::Nowhere => None,
            Place::Defaults => Some(&mut self.ini.defaults),
            Place::Section(index) => Some(&mut self.ini.sections[index].1),
        }
    }

    fn append(&mut self, text: &str) {
        if let Some((_, value)) = self.options().and_then(|options| options.last_mut()) {
            value.push('\n');
            value.push_str(text);
        }
    }

    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let text = line.trim_matches(is_space);
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        if text.is_empty() {
            // A blank line inside a value belongs to it; at the end of one it is trimmed off.
            if self.in_option {
                self.append("");
            }
            return Ok(());
        }
        let indent = line.chars().take_while(|&c| is_space(c)).count();
        if self.in_option && indent > self.indent {
            self.append(text);
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = section_header(text) {
            return self.section(name);
        }
        self.option(text)
    }

    fn section(&mut self, name: &str) -> Result<(), &'static str> {
        self.in_option = false;
        if name == DEFAULT_SECTION {
            self.place = Place::Defaults;
            return Ok(());
        }
        let place = self.ini.sections.len();
        if self.ini.places.insert(name.to_owned(), place).is_some() {
            return Err("this section is there twice");
        }
        self.ini.sections.push((name.to_owned(), Options::new()));
        self.place = Place::Section(place);
        self.names.clear();
        Ok(())
    }

    fn option(&mut self, text: &str) -> Result<(), &'static str> {
        let names = match self.place {
            Place::Nowhere => return Err("there is no [section] above it"),
            Place::Defaults => &mut self.default_names,
            Place::Section(_) => &mut self.names,
        };
        let Some((name, value)) = option_line(text).filter(|(name, _)| !name.is_empty()) else {
            return Err("it is neither a [section] nor a name = value");
        };
        if !names.insert(name.clone()) {
            return Err("this name is there twice in its section");
        }
        if let Some(options) = self.options() {
            options.push((name, Zeroizing::new(value.to_owned())));
        }
        self.in_option = true;
        Ok(())
    }
}

impl Ini {
    /// Parses a text. A byte order mark at its start is accepted, as some editors leave one.
    ///
    /// # Errors
    /// [`IniError`] naming the first line that Python would refuse.
    pub fn parse(text: &str) -> Result<Ini, IniError> {
        let mut parser = Parser {
            ini: Ini::default(),
            place: Place::Nowhere,
            in_option: false,
            indent: 0,
            names: HashSet::new(),
            default_names: HashSet::new(),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in lines(text).enumerate() {
            parser.line(line).map_err(|reason| IniError {
                line: index + 1,
                reason,
            })?;
        }
        let mut ini = parser.ini;
        let sections = ini.sections.iter_mut().map(|(_, options)| options);
        for (_, value) in sections.chain([&mut ini.defaults]).flatten() {
            let length = value.trim_end_matches(is_space).len();
            value.truncate(length);
        }
        Ok(ini)
    }

    /// The text that Python writes for these sections: sorted by name, a blank line after each.
    pub fn render(&self) -> Zeroizing<String> {
        let mut sorted: Vec<&(String, Options)> = self.sections.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut out = Zeroizing::new(String::new());
        if !self.defaults.is_empty() {
            render_section(&mut out, DEFAULT_SECTION, &self.defaults);
        }
        for (name, options) in sorted {
            render_section(&mut out, name, options);
        }
        out
    }

    /// Names of the sections, in file order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|(name, _)| name.as_str())
    }

    /// A value of a section, its own or inherited from `[DEFAULT]`.
    pub fn get(&self, section: &str, option: &str) -> Option<&str> {
        let (_, options) = &self.sections[*self.places.get(section)?];
        options
            .iter()
            .chain(&self.defaults)
            .find(|(name, _)| name == option)
            .map(|(_, value)| value.as_str())
    }

    /// Replaces a section whole, or adds it. Every name and value must be one that comes back the
    /// same when read: see [`fits_section_name`] and [`fits_value`].
    pub fn set(&mut self, section: &str, options: Options) {
        match self.places.get(section) {
            Some(&place) => self.sections[place].1 = options,
            None => {
                self.places.insert(section.to_owned(), self.sections.len());
                self.sections.push((section.to_owned(), options));
            }
        }
    }

    /// Removes a section; returns whether it was there.
    pub fn remove(&mut self, section: &str) -> bool {
        let Some(place) = self.places.remove(section) else {
            return false;
        };
        self.sections.remove(place);
        for later in self.places.values_mut().filter(|later| **later > place) {
            *later -= 1;
        }
        true
    }
}

impl fmt::Debug for Ini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn render_section(out: &mut String, name: &str, options: &Options) {
    out.push_str(&format!("[{name}]\n"));
    for (option, value) in options {
        out.push_str(option);
        out.push_str(" = ");
        for (index, line) in value.split('\n').enumerate() {
            out.push_str(if index == 0 { "" } else { "\n\t" });
            out.push_str(line);
        }
        out.push('\n');
    }
    out.push('\n');
}

/// Whether a section of this name can be written and read again.
pub fn fits_section_name(name: &str) -> bool {
    !name.is_empty() && name != DEFAULT_SECTION && !name.contains(['\r', '\n'])
}

/// Whether a value comes back the same: one line without blanks at its ends.
#[cfg(test)]
pub fn fits_value(value: &str) -> bool {
    !value.contains(['\r', '\n']) && value.trim_matches(is_space).len() == value.len()
}

#[cfg(test)]
mod tests;
