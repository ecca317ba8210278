//! What of a text is prose: the rest is code, links and addresses, which mention nobody. The web client draws by the same
//! rules (`web/app/signs.js`), and `tests/text_vectors.json` holds both to them. A text is walked through once.

/// A mark that begins something in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A run of so many backticks.
    Ticks(usize),
    Bracket,
    /// The scheme of an address, of this length.
    Scheme(usize),
    At,
}

/// So many backticks and more enclose code that may take several lines.
const FENCE: usize = 3;
const SCHEMES: [&str; 2] = ["https://", "http://"];

/// The names after each `@` of a text's prose: each as it is written, and before that without what may end a sentence.
pub(crate) struct Mentions<'a> {
    text: &'a str,
    at: usize,
    /// Where a run of backticks begins; where the one begins that closes it, and how long that is. In their order.
    closing: Vec<(usize, (usize, usize))>,
    line: Line,
    /// Where the quotation ends that was asked for last.
    quote_end: usize,
}

/// A line of the text.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    /// Where its line break is.
    end: usize,
    /// Where a fence would begin it.
    fence: usize,
    is_quoted: bool,
}

impl Line {
    fn new(text: &str, start: usize) -> Self {
        let end = text[start..].find('\n').map_or(text.len(), |len| start + len);
        let line = &text[start..end];
        Self { start, end, fence: start + before_fence(line), is_quoted: is_quoted(line) }
    }
}

impl<'a> Mentions<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, closing: closing(text), line: Line::new(text, 0), quote_end: 0 }
    }

    /// Where the code ends that begins with this run of backticks, if it does.
    fn code(&mut self, from: usize, len: usize) -> Option<usize> {
        while self.line.end < from {
            self.line = Line::new(self.text, self.line.end + 1);
        }
        let line = self.line;
        let close =
            self.closing.binary_search_by_key(&from, |(run, _)| *run).ok().map(|at| self.closing[at].1);
        if len < FENCE {
            return close.filter(|(close, _)| *close < line.end).map(|(close, len)| close + len);
        }
        let end = self.end();
        if let Some((close, len)) = close.filter(|(close, _)| *close < end) {
            return Some(close + len);
        }
        // Nothing closes it: it goes on to the end if it begins as a block does.
        let begins =
            from == line.fence && line.end + 1 < end && !self.text[from + len..line.end].contains('`');
        begins.then_some(end)
    }

    /// Where the line's quotation ends, and with it the code that nothing else does.
    fn end(&mut self) -> usize {
        let mut line = self.line;
        if !line.is_quoted {
            return self.text.len();
        }
        if self.quote_end <= line.start {
            while line.is_quoted && line.end < self.text.len() {
                line = Line::new(self.text, line.end + 1);
            }
            self.quote_end = if line.is_quoted { self.text.len() } else { line.start - 1 };
        }
        self.quote_end
    }

    /// What the `@` here names, and where the text goes on.
    fn mention(&self, at: usize) -> Option<([&'a str; 2], usize)> {
        let rest = &self.text[at + 1..];
        let whole = &rest[..name_len(rest)];
        if whole.is_empty() || is_within_word(&self.text[..at]) {
            return None;
        }
        let name = whole.trim_end_matches(['.', '-', '_']);
        // Such as @anna@example.org.
        let is_handle = rest[name.len()..].strip_prefix('@').is_some_and(|host| name_len(host) > 0);
        (!is_handle).then_some(([name, whole], at + 1 + whole.len()))
    }
}

impl<'a> Iterator for Mentions<'a> {
    type Item = [&'a str; 2];

    fn next(&mut self) -> Option<[&'a str; 2]> {
        while let Some((at, mark)) = next_mark(self.text, self.at) {
            let rest = &self.text[at..];
            let (past, end) = match mark {
                Mark::Ticks(len) => (at + len, self.code(at, len)),
                Mark::Bracket => (at + 1, link_len(rest).map(|len| at + len)),
                Mark::Scheme(len) => (at + len, address_len(rest).map(|len| at + len)),
                Mark::At => match self.mention(at) {
                    Some((names, end)) => {
                        self.at = end;
                        return Some(names);
                    }
                    None => (at + 1, None),
                },
            };
            self.at = end.unwrap_or(past);
        }
        None
    }
}

/// The next mark from here on, and where it is.
fn next_mark(text: &str, from: usize) -> Option<(usize, Mark)> {
    let mut at = from;
    loop {
        at += text[at..].find(['`', '[', 'h', 'H', '@'])?;
        let rest = &text[at..];
        let mark = match rest.as_bytes()[0] {
            b'`' => Some(Mark::Ticks(ticks(rest))),
            b'[' => Some(Mark::Bracket),
            b'@' => Some(Mark::At),
            _ => scheme_len(rest).map(Mark::Scheme),
        };
        match mark {
            Some(mark) => return Some((at, mark)),
            None => at += 1,
        }
    }
}

/// Which run of backticks closes which: the next as long, or, of a fence, the next at least as long.
fn closing(text: &str) -> Vec<(usize, (usize, usize))> {
    let mut runs = Vec::new();
    let mut from = 0;
    while let Some(len) = text[from..].find('`') {
        let run = (from + len, ticks(&text[from + len..]));
        runs.push(run);
        from = run.0 + run.1;
    }
    let mut closing = Vec::new();
    let mut short = [None; FENCE];
    let mut fences: Vec<(usize, usize)> = Vec::new();
    for run in runs.into_iter().rev() {
        let close = match short.get_mut(run.1) {
            Some(next) => next.replace(run),
            None => {
                while fences.pop_if(|(_, len)| *len < run.1).is_some() {}
                let close = fences.last().copied();
                fences.push(run);
                close
            }
        };
        closing.extend(close.map(|close| (run.0, close)));
    }
    closing.reverse();
    closing
}

fn ticks(text: &str) -> usize {
    text.len() - text.trim_start_matches('`').len()
}

/// The length of what may stand before a fence: quotation marks, indentation, the mark of a list's item.
fn before_fence(line: &str) -> usize {
    let rest = line.trim_start_matches([' ', '\t', '>']);
    let digits = rest.len() - rest.trim_start_matches(|one: char| one.is_ascii_digit()).len();
    let after = match digits {
        0 => rest.strip_prefix(['-', '*']),
        1..=9 => rest[digits..].strip_prefix(['.', ')']),
        _ => None,
    };
    let item = after
        .map(|after| after.trim_start_matches([' ', '\t']))
        .filter(|text| Some(text.len()) < after.map(str::len));
    line.len() - item.unwrap_or(rest).len()
}

/// Whether a line is one of a quotation. An emoticon such as `>.<` begins none.
fn is_quoted(line: &str) -> bool {
    let rest = line.trim_start_matches(' ');
    let follows = |after: &str| after.is_empty() || after.starts_with([' ', '\t', '>', '\r']);
    line.len() - rest.len() <= 3 && rest.strip_prefix('>').is_some_and(follows)
}

fn scheme_len(text: &str) -> Option<usize> {
    let is = |scheme: &&str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    SCHEMES.iter().find(|scheme| is(scheme)).map(|scheme| scheme.len())
}

/// The length of the address that a text begins with.
fn address_len(text: &str) -> Option<usize> {
    let scheme = scheme_len(text)?;
    let mut open = 0_usize;
    let ends = |one: char| match one {
        '(' => {
            open += 1;
            false
        }
        // One that closes more than the address has opened is the sentence's.
        ')' => match open.checked_sub(1) {
            Some(left) => {
                open = left;
                false
            }
            None => true,
        },
        _ => one.is_whitespace() || matches!(one, '<' | '>' | '"' | '`'),
    };
    let len = text[scheme..].find(ends).unwrap_or(text.len() - scheme);
    (len > 0).then_some(scheme + len)
}

/// The length of the link, `[words](address)`, that a text begins with.
fn link_len(text: &str) -> Option<usize> {
    let words = text[1..].find(['[', ']', '\n']).filter(|len| *len > 0)?;
    let address = text[1 + words..].strip_prefix("](")?;
    let len = address_len(address)?;
    address[len..].starts_with(')').then_some(1 + words + 2 + len + 1)
}

/// The length of the name that a text begins with: a letter or digit, and what may follow.
fn name_len(text: &str) -> usize {
    if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return 0;
    }
    let ends = |one: char| !one.is_ascii_alphanumeric() && !matches!(one, '_' | '.' | '-');
    text.find(ends).unwrap_or(text.len())
}

/// Whether a text ends within a word or a path, so that an `@` after it begins no mention. An underscore may begin an
/// emphasis, and an accent belongs to its letter.
fn is_within_word(before: &str) -> bool {
    let word = before.trim_end_matches(|one| matches!(one, '_' | '\u{300}'..='\u{36f}'));
    before.ends_with('/') || word.chars().next_back().is_some_and(char::is_alphanumeric)
}
