//! Connections: pages of a list by keyset cursors.
//!
//! A cursor holds the sort key and the tie-break of an element and the name of the list it comes from; it is opaque to
//! clients, versioned, and refused by any other list.

use async_graphql::{Object, OutputType, SimpleObject, TypeName};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::borrow::Cow;
use std::cmp::Ordering;

use super::list::List;
use waymark_db::page::Slice;
use waymark_kernel::error::{Error, Result};

/// How many elements a page has when neither `first` nor `last` is given.
pub const DEFAULT_PAGE: u32 = 20;

/// The four arguments of a connection as a client gave them.
#[derive(Debug, Clone, Default)]
pub struct PageArgs {
    /// How many elements from the front; `None`: not given.
    pub first: Option<i32>,
    /// The cursor of the element behind which the page begins; `None`: not given.
    pub after: Option<String>,
    /// How many elements from the end; `None`: not given.
    pub last: Option<i32>,
    /// The cursor of the element before which the page ends; `None`: not given.
    pub before: Option<String>,
}

/// Where the size of a page has a bound.
pub trait Bounded {
    /// How many elements a page may have at most.
    fn max_page_size(&self) -> u32;
}

/// A part of a list that is no connection: a number of elements, behind a number of skipped ones.
#[derive(Debug, Clone, Copy)]
pub struct Portion {
    /// How many elements of the list are left out at its front.
    pub skip: u32,
    /// How many elements there are at most.
    pub first: u32,
}

impl Portion {
    /// Checks the arguments; without `first` there are `otherwise` elements, or as many as a page may have.
    ///
    /// # Errors
    /// When an argument is out of its range.
    pub fn check(first: Option<i32>, skip: Option<i32>, otherwise: u64, request: &impl Bounded) -> Result<Self> {
        let largest = request.max_page_size();
        let first = match first.map(u32::try_from) {
            None => u32::try_from(otherwise).unwrap_or(largest).min(largest),
            Some(Ok(first)) if (1..=largest).contains(&first) => first,
            Some(_) => return Err(Error::bad_input(format!("first must lie between 1 and {largest}"))),
        };
        let skip = u32::try_from(skip.unwrap_or(0)).map_err(|_| Error::bad_input("skip must not be negative"))?;
        Ok(Self { skip, first })
    }

    /// The elements of the part.
    pub fn of<T>(self, list: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        list.into_iter().skip(self.skip as usize).take(self.first as usize)
    }
}

/// A checked request for one page of the list `list`.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    list: &'static str,
    after: Option<(i64, i64)>,
    before: Option<(i64, i64)>,
    size: u32,
    from_end: bool,
}

/// The outcome of `work` if it is wanted, such as the length of a list that was asked for.
pub async fn only_if<T>(wanted: bool, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    if wanted { work.await.map(Some) } else { Ok(None) }
}

impl PageArgs {
    /// Checks the arguments for the list of this name. Lists that are sorted differently have different names.
    pub fn check(self, list: &'static str, request: &impl Bounded) -> Result<Page> {
        let largest = request.max_page_size();
        let (from_end, size) = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(Error::bad_input("give either first or last, not both")),
            (first, None) => (false, first),
            (None, last) => (true, last),
        };
        let name = if from_end { "last" } else { "first" };
        let size = match size.map(u32::try_from) {
            None => DEFAULT_PAGE.min(largest),
            Some(Ok(size)) if (1..=largest).contains(&size) => size,
            Some(_) => return Err(Error::bad_input(format!("{name} must lie between 1 and {largest}"))),
        };
        let decode = |cursor: Option<String>| cursor.map(|text| cursor_key(list, &text)).transpose();
        Ok(Page { list, after: decode(self.after)?, before: decode(self.before)?, size, from_end })
    }
}

impl Page {
    /// What to read from the database for this page: one element more than shown, to know whether there are more.
    pub const fn slice(&self) -> Slice {
        Slice { after: self.after, before: self.before, limit: self.size + 1, from_end: self.from_end }
    }

    /// The keys that the page was asked to lie between.
    pub fn bounds(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        self.after.into_iter().chain(self.before)
    }

    /// What this page may need of one of several lists that make it up one after the other, by the sort keys that the
    /// list has in the whole: `None` when the cursors leave nothing of it.
    pub fn slice_of(&self, section: Section) -> Option<Slice> {
        let bound = |key: (i64, i64)| match section.of(key) {
            Ordering::Less => Bound::Before,
            Ordering::Equal => Bound::At(section.inner(key)),
            Ordering::Greater => Bound::Behind,
        };
        let after = match self.after.map(bound) {
            None | Some(Bound::Before) => None,
            Some(Bound::At(key)) => Some(key),
            Some(Bound::Behind) => return None,
        };
        let before = match self.before.map(bound) {
            None | Some(Bound::Behind) => None,
            Some(Bound::At(key)) => Some(key),
            Some(Bound::Before) => return None,
        };
        Some(Slice { after, before, limit: self.size + 1, from_end: self.from_end })
    }

    /// Rows of a descending list that were read by [`Page::slice`], together with others that belong among them.
    pub fn merge_descending<T>(&self, rows: Vec<T>, others: Vec<T>, key: impl Fn(&T) -> (i64, i64)) -> Vec<T> {
        let wanted = |row: &T| {
            self.after.is_none_or(|after| key(row) < after) && self.before.is_none_or(|before| key(row) > before)
        };
        let mut merged: Vec<T> = rows.into_iter().chain(others.into_iter().filter(wanted)).collect();
        merged.sort_by_key(|row| std::cmp::Reverse(key(row)));
        if self.from_end {
            merged.reverse();
        }
        merged.truncate(self.size as usize + 1);
        merged
    }

    /// The page out of rows that were read by [`Page::slice`].
    pub fn of_rows<T>(self, mut rows: Vec<T>, key: impl Fn(&T) -> (i64, i64)) -> Connection<T> {
        let more = rows.len() > self.size as usize;
        rows.truncate(self.size as usize);
        if self.from_end {
            rows.reverse();
        }
        let edges: Vec<_> =
            rows.into_iter().map(|node| Edge { cursor: cursor_text(self.list, key(&node)), node }).collect();
        let (previous, next) = if self.from_end { (more, self.before.is_some()) } else { (self.after.is_some(), more) };
        Connection { edges, has_previous_page: previous, has_next_page: next, total: None }
    }

    /// The page out of a whole list in memory, which `key` sorts in ascending order.
    pub fn of_list<T>(self, list: impl IntoIterator<Item = T>, key: impl Fn(&T) -> (i64, i64)) -> Connection<T> {
        let mut total = 0_i64;
        let mut rows: Vec<T> = list
            .into_iter()
            .inspect(|_| total += 1)
            .filter(|item| {
                let key = key(item);
                self.after.is_none_or(|after| key > after) && self.before.is_none_or(|before| key < before)
            })
            .collect();
        let more = rows.len() > self.size as usize;
        if self.from_end {
            rows.reverse();
        }
        rows.truncate(self.size as usize + usize::from(more));
        let mut page = self.of_rows(rows, key);
        page.total = Some(total);
        page
    }
}

/// One of several lists that make up a larger one, one after the other. Each is descending by `(sort key, tie-break)`;
/// the whole is ascending.
#[derive(Debug, Clone, Copy)]
pub struct Section(pub u8);

/// Where a cursor stands as seen from a section.
enum Bound {
    Before,
    At((i64, i64)),
    Behind,
}

impl Section {
    /// Room for any instant in milliseconds.
    const ROOM: i64 = 1 << 52;

    /// The key in the whole of an element with this key in the section.
    pub const fn outer(self, (sort, tie): (i64, i64)) -> (i64, i64) {
        (self.0 as i64 * Self::ROOM + (Self::ROOM / 2 - sort), -tie)
    }

    const fn inner(self, (sort, tie): (i64, i64)) -> (i64, i64) {
        ((self.0 as i64 * Self::ROOM + Self::ROOM / 2).saturating_sub(sort), tie.saturating_neg())
    }

    /// Where a key of the whole stands: before this section, in it or behind it.
    fn of(self, (sort, _): (i64, i64)) -> Ordering {
        sort.div_euclid(Self::ROOM).cmp(&i64::from(self.0))
    }
}

/// The cursor of the element with this key in the list of this name.
pub fn cursor_text(list: &str, key: (i64, i64)) -> String {
    URL_SAFE_NO_PAD.encode(format!("1|{list}|{}|{}", key.0, key.1))
}

/// The key of the element that a cursor marks, if it is one of the list of this name.
pub fn cursor_key(list: &str, text: &str) -> Result<(i64, i64)> {
    let malformed =
        || Error::bad_input("this cursor was not given out by this server; take one from pageInfo or an edge");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
    let decoded = String::from_utf8(bytes).map_err(|_| malformed())?;
    let mut parts = decoded.split('|');
    let (Some("1"), Some(from), Some(sort), Some(tie), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    if from != list {
        return Err(Error::bad_input(
            "this cursor comes from another list; a cursor is good for the same field in the same order",
        ));
    }
    Ok((sort.parse().map_err(|_| malformed())?, tie.parse().map_err(|_| malformed())?))
}

/// Where a page stands in its list.
#[derive(Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether more elements follow behind this page.
    has_next_page: bool,
    /// Whether elements come before this page. When paging forward this is true as soon as `after` was given.
    has_previous_page: bool,
    /// The cursor of the first element, to page backward with `before`. Null when the page is empty.
    start_cursor: Option<String>,
    /// The cursor of the last element, to page forward with `after`. Null when the page is empty.
    end_cursor: Option<String>,
}

/// One page of a list of `T`.
#[derive(Debug)]
pub struct Connection<T> {
    edges: Vec<Edge<T>>,
    has_previous_page: bool,
    has_next_page: bool,
    total: Option<i64>,
}

/// An element of a page with its cursor.
#[derive(Debug)]
pub struct Edge<T> {
    cursor: String,
    node: T,
}

impl<T> Connection<T> {
    /// The same page of something else.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Connection<U> {
        Connection {
            edges: self.edges.into_iter().map(|Edge { cursor, node }| Edge { cursor, node: change(node) }).collect(),
            has_previous_page: self.has_previous_page,
            has_next_page: self.has_next_page,
            total: self.total,
        }
    }

    /// The same page of something else, unless that fails for one.
    pub fn try_map<U>(self, change: impl Fn(T) -> Result<U>) -> Result<Connection<U>> {
        let edges = self.edges.into_iter();
        Ok(Connection {
            edges: edges
                .map(|Edge { cursor, node }| Ok(Edge { cursor, node: change(node)? }))
                .collect::<Result<_>>()?,
            has_previous_page: self.has_previous_page,
            has_next_page: self.has_next_page,
            total: self.total,
        })
    }

    /// The same page of something else, without what has no counterpart.
    pub fn filter_map<U>(self, change: impl Fn(T) -> Option<U>) -> Connection<U> {
        let edges = self.edges.into_iter();
        Connection {
            edges: edges.filter_map(|Edge { cursor, node }| Some(Edge { cursor, node: change(node)? })).collect(),
            has_previous_page: self.has_previous_page,
            has_next_page: self.has_next_page,
            total: self.total,
        }
    }

    /// The same page, with the length of the whole list.
    pub fn with_total(mut self, total: Option<i64>) -> Self {
        self.total = total;
        self
    }
}

impl<T: OutputType> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", T::type_name()).into()
    }
}

impl<T: OutputType> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", T::type_name()).into()
    }
}

/// One page of a list. Page forward with `first` and `after`, backward with `last` and `before`.
#[Object(name_type)]
impl<T: OutputType> Connection<T> {
    /// The elements of this page, each with its cursor.
    async fn edges(&self) -> List<&Edge<T>> {
        self.edges.iter().collect()
    }

    /// The elements of this page, without cursors.
    #[graphql(name = "nodes")]
    async fn node_list(&self) -> List<&T> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// Where this page stands in the list.
    async fn page_info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.has_next_page,
            has_previous_page: self.has_previous_page,
            start_cursor: self.edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: self.edges.last().map(|edge| edge.cursor.clone()),
        }
    }

    /// How many elements the whole list has, on all pages. Null where the list was not counted.
    async fn total_count(&self) -> Option<i32> {
        self.total.map(|total| i32::try_from(total).unwrap_or(i32::MAX))
    }
}

/// An element of a page with its cursor.
#[Object(name_type)]
impl<T: OutputType> Edge<T> {
    /// Marks this element; give it as `after` or `before` to the same field.
    async fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The element.
    async fn node(&self) -> &T {
        &self.node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waymark_kernel::error::Code;

    fn page(size: u32, from_end: bool) -> Page {
        Page { list: "numbers", after: None, before: None, size, from_end }
    }

    fn nodes(connection: &Connection<i64>) -> Vec<i64> {
        connection.edges.iter().map(|edge| edge.node).collect()
    }

    #[test]
    fn a_cursor_is_read_back_by_its_own_list_only() {
        let text = cursor_text("games", (-3, i64::MAX));
        assert_eq!(cursor_key("games", &text).unwrap(), (-3, i64::MAX));
        assert!(cursor_key("history", &text).unwrap_err().message().contains("another list"));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in [
            "",
            "x",
            "🦀",
            "MXxnYW1lc3wx",
            &URL_SAFE_NO_PAD.encode("2|games|1|1"),
            &URL_SAFE_NO_PAD.encode("1|games|a|1"),
        ] {
            assert_eq!(cursor_key("games", text).unwrap_err().code(), Code::BadUserInput, "{text}");
        }
    }

    #[test]
    fn pages_in_both_directions_visit_every_element_once() {
        let key = |n: &i64| (*n, 0);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let connection = Page { after, ..page(3, false) }.of_list(0..10, key);
            seen.extend(nodes(&connection));
            after = connection.edges.last().map(|edge| (edge.node, 0));
            assert_eq!(connection.total, Some(10));
            if !connection.has_next_page {
                break;
            }
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        let last = page(4, true).of_list(0..10, key);
        assert_eq!(nodes(&last), [6, 7, 8, 9]);
        assert!(last.has_previous_page && !last.has_next_page);
        let before = Page { before: Some((6, 0)), ..page(10, true) }.of_list(0..10, key);
        assert_eq!(nodes(&before), [0, 1, 2, 3, 4, 5]);
        assert!(!before.has_previous_page && before.has_next_page);
    }
}
