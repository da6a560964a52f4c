//! Drawing the share card.

use std::fmt::Write as _;

/// What a share card says.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) name: String,
    pub(super) handle: String,
    /// How many games were played.
    pub(super) played: i64,
    /// How many of them are mastered.
    pub(super) mastered: i64,
    /// How many collections are complete.
    pub(super) completed: usize,
    /// How many distinct cards are owned.
    pub(super) cards: i64,
    /// The games with the highest scores.
    pub(super) games: Vec<GameLine>,
}

/// One game on the card.
#[derive(Debug)]
pub(super) struct GameLine {
    pub(super) title: String,
    pub(super) achieved: i32,
    pub(super) hardcore: i32,
    pub(super) possible: i32,
}

/// Width of the bars in the picture.
const BAR: i32 = 220;
const FONT: &str = "system-ui, 'Segoe UI', 'Noto Sans', sans-serif";

impl Card {
    /// The card as an SVG document. Colours and sizes are attributes, so that no policy stands in their way.
    pub(super) fn draw(&self) -> String {
        let (name, handle) = (text(&self.name, 24), text(&self.handle, 24));
        let initials = text(&self.name.chars().take(2).collect::<String>().to_uppercase(), 2);
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="520" height="220" viewBox="0 0 520 220" role="img" aria-labelledby="t" font-family="{FONT}">
<title id="t">{name} on Waymark: {played} games, {mastered} mastered, {completed} collections complete, {cards} cards</title>
<defs>
<linearGradient id="g" x2="1" y2="1"><stop stop-color="#12303a"/><stop offset="1" stop-color="#151b26"/></linearGradient>
<pattern id="h" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="6" fill="#0a101c" fill-opacity=".45"/></pattern>
</defs>
<rect width="520" height="220" rx="18" fill="url(#g)"/>
<rect x="24" y="24" width="52" height="52" rx="16" fill="#0f766e"/>
<text x="50" y="51" fill="#fff" font-size="19" font-weight="650" text-anchor="middle" dominant-baseline="central">{initials}</text>
<text x="92" y="46" fill="#f4f7fb" font-size="22" font-weight="700">{name}</text>
<text x="92" y="68" fill="#a3b1c6" font-size="14">@{handle}</text>
"##,
            played = self.played,
            mastered = self.mastered,
            completed = self.completed,
            cards = self.cards,
        );
        let figures = [
            ("games", self.played),
            ("mastered", self.mastered),
            ("collections", i64::try_from(self.completed).unwrap_or(i64::MAX)),
            ("cards", self.cards),
        ];
        for (at, (label, figure)) in (0_i32..).zip(figures) {
            let (x, y) = (24 + 104 * (at % 2), 112 + 52 * (at / 2));
            let _ = writeln!(
                svg,
                r##"<text x="{x}" y="{y}" fill="#f4f7fb" font-size="24" font-weight="700">{figure}</text><text x="{x}" y="{below}" fill="#a3b1c6" font-size="13">{label}</text>"##,
                below = y + 18,
            );
        }
        for (at, game) in (0_i32..).zip(&self.games) {
            game.draw(&mut svg, 104 + 36 * at);
        }
        if self.games.is_empty() {
            svg.push_str("<text x=\"276\" y=\"140\" fill=\"#a3b1c6\" font-size=\"14\">No games yet.</text>\n");
        }
        svg.push_str("<text x=\"496\" y=\"46\" fill=\"#5eead4\" font-size=\"14\" font-weight=\"650\" text-anchor=\"end\">Waymark</text>\n</svg>\n");
        svg
    }
}

impl GameLine {
    /// The whole bar is what is unlocked; the hatched part of it was unlocked in hardcore mode.
    fn draw(&self, svg: &mut String, y: i32) {
        let share = |number: i32| BAR * number.clamp(0, self.possible.max(0)) / self.possible.max(1);
        let (achieved, hardcore) = (share(self.achieved), share(self.hardcore));
        let _ = writeln!(
            svg,
            r##"<text x="276" y="{y}" fill="#f4f7fb" font-size="13">{title}</text><text x="496" y="{y}" fill="#a3b1c6" font-size="13" text-anchor="end">{done}/{possible}</text><rect x="276" y="{top}" width="{BAR}" height="9" rx="4" fill="#2b3648"/><rect x="276" y="{top}" width="{achieved}" height="9" rx="4" fill="#5eead4"/><rect x="276" y="{top}" width="{hardcore}" height="9" rx="4" fill="url(#h)"/>"##,
            title = text(&self.title, 22),
            done = self.achieved,
            possible = self.possible,
            top = y + 6,
        );
    }
}

/// Text of users for an XML document, shortened to `most` characters. Characters that XML does not know are left out.
fn text(raw: &str, most: usize) -> String {
    let fits = |&char: &char| !char.is_control() && char != '\u{FFFE}' && char != '\u{FFFF}';
    let mut chars = raw.chars().filter(fits);
    let mut shown: String = chars.by_ref().take(most).collect();
    if chars.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    let mut escaped = String::with_capacity(shown.len());
    for char in shown.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: &str) -> Card {
        let game = GameLine { title: "A <b> & \"c\"".to_owned(), achieved: 3, hardcore: 1, possible: 4 };
        let games = vec![game, GameLine { title: "Empty".to_owned(), achieved: 0, hardcore: 0, possible: 0 }];
        Card { name: name.to_owned(), handle: "h".to_owned(), played: 2, mastered: 0, completed: 1, cards: 7, games }
    }

    #[test]
    fn what_users_write_stays_text() {
        let svg = card("</text><script>'\u{8}").draw();
        assert!(!svg.contains("<script"), "{svg}");
        assert!(svg.contains("&lt;/text&gt;&lt;script&gt;&#39;</text>"), "{svg}");
        assert!(svg.contains("A &lt;b&gt; &amp; &quot;c&quot;"), "{svg}");
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(text("abcdef", 6), "abcdef");
        assert_eq!(text("abcdefg", 6), "abcde…");
    }

    #[test]
    fn bars_are_as_long_as_what_is_unlocked() {
        let svg = card("A").draw();
        assert!(svg.contains(r##"width="165" height="9" rx="4" fill="#5eead4""##), "{svg}");
        assert!(svg.contains(r##"width="55" height="9" rx="4" fill="url(#h)""##), "{svg}");
    }
}
