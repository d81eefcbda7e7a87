//! The arguments of one request: where they lie in its bytes, and the view that commands read.

use std::fmt;
use std::ops::Range;

/// How many arguments are kept inside the parser itself: those of a take with four limits, and nearly every request has fewer.
const INLINE_SPANS: usize = 24;

/// How many spans may stay allocated from one request to the next.
const KEPT_SPANS: usize = 1024;

/// How many bytes of unescaped inline text may stay allocated from one request to the next.
const KEPT_TEXT_BYTES: usize = 4096;

/// Where one argument lies. 32 bits suffice: `RequestLimits::max_request_bytes` counts as less than 4 GiB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    /// The span of `length` bytes from `start` on.
    #[inline]
    pub(super) fn new(start: usize, length: usize) -> Self {
        Self {
            start: u32::try_from(start).expect("a request is shorter than 4 GiB"),
            length: u32::try_from(length).expect("a request is shorter than 4 GiB"),
        }
    }

    #[inline]
    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }

    /// Where the argument's own line with `$` and the length begins. Lengths are written without leading zeros and
    /// signs (the parser refuses others), so the line's own length is known.
    fn wire_start(self) -> usize {
        let digits = self.length.checked_ilog10().map_or(1, |power| power as usize + 1);
        self.start as usize - digits - "$\r\n".len()
    }

    fn wire_end(self) -> usize {
        self.range().end + "\r\n".len()
    }
}

/// What rare requests need beyond the parser itself: many arguments, or quotes in an inline request.
#[derive(Debug, Default)]
struct Spill {
    /// Every span, once there are more than [`INLINE_SPANS`].
    spans: Vec<Span>,
    /// The arguments of an inline request with quotes, one behind the other.
    text: Vec<u8>,
}

/// What the spans of a request point into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The buffer, with each argument in the form of a bulk string.
    Bulks,
    /// The buffer, with arguments separated by blanks.
    Line,
    /// The text of the spill.
    Text,
}

/// The spans of the request that is being read.
#[derive(Debug)]
pub(super) struct Spans {
    count: u32,
    source: Source,
    first: [Span; INLINE_SPANS],
    spill: Option<Box<Spill>>,
}

impl Spans {
    pub(super) const fn new() -> Self {
        Self {
            count: 0,
            source: Source::Bulks,
            first: [Span { start: 0, length: 0 }; INLINE_SPANS],
            spill: None,
        }
    }

    /// Forgets the last request; what it allocated is kept for the next one, up to a limit.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.source = Source::Bulks;
        if self.spill.is_some() {
            self.recycle_spill();
        }
    }

    #[cold]
    fn recycle_spill(&mut self) {
        if let Some(spill) = &mut self.spill {
            spill.spans.clear();
            spill.text.clear();
            if spill.spans.capacity() > KEPT_SPANS || spill.text.capacity() > KEPT_TEXT_BYTES {
                self.spill = None;
            }
        }
    }

    /// Frees everything that is allocated. With `keep`, the spans of a request that is half read stay.
    pub(super) fn shrink(&mut self, keep: bool) {
        if !keep {
            self.count = 0;
            self.source = Source::Bulks;
            self.spill = None;
        } else if let Some(spill) = &mut self.spill {
            spill.spans.shrink_to_fit();
            spill.text.shrink_to_fit();
        }
    }

    /// Adds the next argument, which lies in the buffer.
    #[inline]
    pub(super) fn push(&mut self, span: Span) {
        match self.first.get_mut(self.count as usize) {
            Some(slot) => *slot = span,
            None => self.push_to_spill(span),
        }
        self.count += 1;
    }

    #[cold]
    fn push_to_spill(&mut self, span: Span) {
        let spill = self.spill.get_or_insert_default();
        if self.count as usize == INLINE_SPANS {
            spill.spans.extend_from_slice(&self.first);
        }
        spill.spans.push(span);
    }

    /// From here on spans point at blank-separated words of the buffer.
    pub(super) fn read_from_line(&mut self) {
        self.source = Source::Line;
    }

    /// From here on spans point into the returned text.
    pub(super) fn read_from_text(&mut self) {
        self.source = Source::Text;
    }

    /// The text that holds unescaped arguments.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.spill.get_or_insert_default().text
    }

    /// The request, whose bytes begin at the beginning of `buffer`.
    #[inline]
    pub(super) fn request<'a>(&'a self, buffer: &'a [u8]) -> Request<'a> {
        let count = self.count as usize;
        let spans = match (self.first.get(..count), &self.spill) {
            (Some(spans), _) => spans,
            (None, Some(spill)) => &spill.spans,
            (None, None) => unreachable!("more spans than fit inside are in the spill"),
        };
        let source = match (self.source, &self.spill) {
            (Source::Text, Some(spill)) => &spill.text,
            _ => buffer,
        };
        Request { source, spans, is_inline: self.source != Source::Bulks }
    }

    /// How many bytes are allocated beside the parser itself.
    pub(super) fn allocated_bytes(&self) -> usize {
        self.spill.as_ref().map_or(0, |spill| {
            size_of::<Spill>() + spill.spans.capacity() * size_of::<Span>() + spill.text.capacity()
        })
    }
}

/// One complete request: the name of a command and what follows it. Arguments are any bytes.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    source: &'a [u8],
    spans: &'a [Span],
    is_inline: bool,
}

impl<'a> Request<'a> {
    /// How many arguments there are, the command's name included.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a name (`*0`, `*-1`, an empty line). Redis ignores such a request: no reply.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether the request was a line of words and not an array of bulk strings.
    #[inline]
    #[must_use]
    pub fn is_inline(&self) -> bool {
        self.is_inline
    }

    /// The argument at `index`, where 0 is the command's name.
    ///
    /// # Panics
    /// If there are not that many; [`Request::get`] does not.
    #[inline]
    #[must_use]
    pub fn arg(&self, index: usize) -> &'a [u8] {
        &self.source[self.spans[index].range()]
    }

    /// The argument at `index`, or `None` if there are not that many.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| &self.source[span.range()])
    }

    /// The command's name as it was sent; of an empty request, nothing.
    #[inline]
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.get(0).unwrap_or_default()
    }

    /// All arguments in order, the name first.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Arguments<'a> {
        Arguments { source: self.source, spans: self.spans.iter() }
    }

    /// The bytes of these arguments as they came over the wire, each a whole bulk string from its `$` to its CR LF.
    /// With an array header in front they are a request again. `None` if the request was inline, or the range is
    /// empty or reaches beyond the last argument.
    #[must_use]
    pub fn bytes_of(&self, args: Range<usize>) -> Option<&'a [u8]> {
        if self.is_inline {
            return None;
        }
        let spans = self.spans.get(args)?;
        let (first, last) = (spans.first()?, spans.last()?);
        self.source.get(first.wire_start()..last.wire_end())
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = formatter.debug_list();
        for argument in self.iter() {
            list.entry(&format_args!("\"{}\"", argument.escape_ascii()));
        }
        list.finish()
    }
}

impl<'a> IntoIterator for Request<'a> {
    type Item = &'a [u8];
    type IntoIter = Arguments<'a>;

    fn into_iter(self) -> Arguments<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Request<'a> {
    type Item = &'a [u8];
    type IntoIter = Arguments<'a>;

    fn into_iter(self) -> Arguments<'a> {
        self.iter()
    }
}

/// The arguments of a [`Request`], in order.
#[derive(Clone, Debug)]
pub struct Arguments<'a> {
    source: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.spans.next().map(|span| &self.source[span.range()])
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl DoubleEndedIterator for Arguments<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.spans.next_back().map(|span| &self.source[span.range()])
    }
}

impl ExactSizeIterator for Arguments<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spans of blank-free words that lie one behind the other, each a byte longer than the one before.
    fn spans(count: usize) -> (Vec<u8>, Spans) {
        let (mut text, mut spans) = (Vec::new(), Spans::new());
        for length in 0..count {
            spans.push(Span::new(text.len(), length));
            text.resize(text.len() + length, b'a');
        }
        (text, spans)
    }

    fn check_amount(count: usize) {
        let (text, spans) = spans(count);
        let request = spans.request(&text);
        assert_eq!(request.len(), count);
        assert_eq!(request.iter().len(), count);
        assert_eq!(request.is_empty(), count == 0);
        assert_eq!(request.get(count), None);
        for (index, argument) in request.iter().enumerate() {
            assert_eq!(argument.len(), index);
            assert_eq!(request.arg(index), argument);
        }
        assert!(request.iter().rev().map(<[u8]>::len).eq((0..count).rev()));
    }

    #[test]
    fn any_amount_of_arguments_is_read_in_order() {
        for count in [0, 1, INLINE_SPANS - 1, INLINE_SPANS, INLINE_SPANS + 1, 2 * INLINE_SPANS, 500] {
            check_amount(count);
        }
    }

    #[test]
    fn a_request_without_arguments_has_an_empty_name() {
        assert_eq!(Spans::new().request(b"").name(), b"");
    }

    #[test]
    fn what_was_spilled_does_not_show_in_the_next_request() {
        let (_, mut spans) = spans(INLINE_SPANS + 5);
        assert!(spans.allocated_bytes() > 0);
        spans.clear();
        spans.push(Span::new(1, 2));
        assert_eq!(spans.request(b"abcd").iter().collect::<Vec<_>>(), [b"bc"]);
        spans.shrink(true);
        assert_eq!(spans.request(b"abcd").name(), b"bc");
        spans.shrink(false);
        assert!(spans.request(b"abcd").is_empty());
        assert_eq!(spans.allocated_bytes(), 0);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_escaped() {
        let mut spans = Spans::new();
        spans.push(Span::new(0, 3));
        spans.push(Span::new(3, 1));
        assert_eq!(format!("{:?}", spans.request(b"GET\xff")), r#"["GET", "\xff"]"#);
    }
}
