//! Makes records to import of a curriculum in one JSON document: `{"source": …, "courses": [{"section", "title", "url",
//! "estimatedMinutes"}, …]}`. Every course becomes a resource, all of them in their order a study plan.
//!
//! ```sh
//! cargo run --example curriculum < learning-ossu.json | waymark import -
//! ```

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use serde::Deserialize;
use serde_json::json;

/// The key of the study plan, and what the keys of its resources begin with.
const PLAN: &str = "ossu";
/// Where links lead that are relative.
const BASE: &str = "https://github.com/ossu/computer-science/blob/master/";

#[derive(Deserialize)]
struct Curriculum {
    source: String,
    courses: Vec<Course>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Course {
    section: Option<String>,
    title: String,
    url: Option<String>,
    estimated_minutes: Option<i32>,
}

/// The records, one a line.
pub(crate) fn convert(document: &str) -> serde_json::Result<String> {
    let curriculum: Curriculum = serde_json::from_str(document)?;
    let mut used: BTreeMap<String, u32> = BTreeMap::new();
    let mut keys = Vec::new();
    let mut lines = String::new();
    for course in curriculum.courses {
        let slug = format!("{PLAN}-{}", slug(&course.title));
        // The same title may stand for several courses.
        let count = used.entry(slug.clone()).and_modify(|count| *count += 1).or_insert(1);
        let key = if *count == 1 { slug } else { format!("{slug}-{count}") };
        let url = course.url.map(|url| if url.contains("://") { url } else { format!("{BASE}{url}") });
        let record = json!({
            "type": "resource",
            "key": key,
            "title": course.title,
            "section": course.section,
            "url": url,
            "estimatedMinutes": course.estimated_minutes,
        });
        lines.push_str(&format!("{record}\n"));
        keys.push(key);
    }
    let plan = json!({
        "type": "studyPlan",
        "key": PLAN,
        "title": "Computer science",
        "description": curriculum.source,
        "resources": keys,
    });
    lines.push_str(&format!("{plan}\n"));
    Ok(lines)
}

/// The letters and digits of a title in lower case, with hyphens between words.
fn slug(title: &str) -> String {
    let words = title.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    slug.chars().take(100).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut document = String::new();
    std::io::stdin().read_to_string(&mut document)?;
    std::io::stdout().write_all(convert(&document)?.as_bytes())?;
    Ok(())
}
