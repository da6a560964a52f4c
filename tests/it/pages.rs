//! The pages and the share card.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        pages_load_from_this_server_only,
        only_the_editor_may_write_styles_into_its_page,
        files_named_by_their_content_are_kept_for_ever,
        a_public_profile_has_a_card,
        a_page_of_nobody_says_so_in_its_status,
        pictures_come_from_where_the_settings_say,
    ],
    own: [
        a_card_is_sent_once_while_it_stays_the_same,
        a_private_profile_has_no_card,
        cards_are_drawn_as_often_as_an_address_may_ask,
        what_a_user_writes_stays_text_on_the_card,
        people_get_a_page_where_there_is_nothing_and_programs_a_refusal,
    ],
}

async fn get(stage: &Stage, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    stage.anonymous().send(request.body(Body::empty()).unwrap()).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn people_get_a_page_where_there_is_nothing_and_programs_a_refusal(stage: Stage) {
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for (path, home, status) in [
        ("/foo", "./", 404),
        ("/u/", "../", 404),
        ("/u/%zz", "../", 400),
        ("/u/%2", "../", 400),
        ("/u/%ff", "../", 400),
        ("/u/%zz/card.svg", "../../", 400),
        ("/u/%ff/card.svg", "../../", 400),
        ("/u/nobody/card.svg", "../../", 404),
        ("/u/a%20b", "../", 404),
        ("/u/%C3%A9", "../", 404),
        ("/u/x", "../", 404),
        ("/u/012345678901234567890", "../", 404),
        ("/u/grace/x", "../../", 404),
        ("/%", "./", 400),
        ("/admin/x", "../", 404),
    ] {
        let page = get(&stage, path, &browser).await;
        let kind = (page.status.as_u16(), header(&page, "content-type"));
        assert_eq!(kind, (status, "text/html; charset=utf-8"), "{path}");
        assert!(page.text.contains(&format!("href=\"{home}\"")), "{path}: {}", page.text);
        assert!(header(&page, "content-security-policy").starts_with("default-src 'none'"), "{path}");
    }
    for (path, place) in [("/admin/", "../admin"), ("/u/grace/", "../grace"), ("/u/grace/?a=b", "../grace?a=b")] {
        let moved = get(&stage, path, &browser).await;
        assert_eq!((moved.status.as_u16(), header(&moved, "location")), (308, place), "{path}");
    }
    for (path, status) in
        [("/foo", 404), ("/u/", 404), ("/admin/", 404), ("/u/x", 404), ("/u/%zz", 400), ("/u/%ff/card.svg", 400)]
    {
        get(&stage, path, &[("accept", "application/json")]).await.refused(status, "BAD_USER_INPUT");
        get(&stage, path, &[]).await.refused(status, "BAD_USER_INPUT");
    }
}

async fn a_page_of_nobody_says_so_in_its_status(stage: Stage) {
    let known = get(&stage, "/u/grace", &[]).await;
    assert_eq!(known.status.as_u16(), 200);
    // The one does not exist, the other is for members: nothing tells which, and to members the page shows it.
    for path in ["/u/nobody", "/u/ada"] {
        let page = get(&stage, path, &[("if-none-match", "*")]).await;
        assert_eq!((page.status.as_u16(), page.text == known.text), (404, true), "{path}");
    }
    let strict = stage.with(&[("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "2")]).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(get(&strict, "/u/nobody", &[]).await.status.as_u16());
    }
    assert_eq!(statuses, [404, 404, 200], "an address that asks too much looks up nobody more");
}

async fn pictures_come_from_where_the_settings_say(stage: Stage) {
    async fn told(stage: &Stage, path: &str) -> (bool, String) {
        let policy = header(&get(stage, path, &[]).await, "content-security-policy").to_owned();
        let settings = get(stage, "/playground.json", &[]).await.json;
        (policy.contains("img-src 'self' https://i.example http://localhost:9"), settings["imageOrigins"].to_string())
    }
    let listed = stage.with(&[("WAYMARK_IMAGE_ORIGINS", "https://i.example,http://localhost:9")]).await;
    for path in ["/u/grace", "/admin"] {
        assert_eq!(told(&stage, path).await, (false, "[]".to_owned()), "{path}");
        assert_eq!(
            told(&listed, path).await,
            (true, r#"["https://i.example","http://localhost:9"]"#.to_owned()),
            "{path}"
        );
    }
    assert!(!told(&listed, "/").await.0, "the editor shows none");
}

async fn pages_load_from_this_server_only(stage: Stage) {
    for (path, status) in [("/", 200), ("/u/grace", 200), ("/u/nobody", 404), ("/admin", 200)] {
        let page = get(&stage, path, &[]).await;
        assert_eq!((page.status.as_u16(), header(&page, "content-type")), (status, "text/html"), "{path}");
        let policy = header(&page, "content-security-policy");
        for rule in ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe-eval"), "{path}: {policy}");
        assert_eq!(header(&page, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&page, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header(&page, "cache-control"), "no-cache", "{path}");
    }
}

async fn only_the_editor_may_write_styles_into_its_page(stage: Stage) {
    for (path, expected) in [("/", true), ("/u/grace", false), ("/admin", false)] {
        let page = get(&stage, path, &[]).await;
        assert_eq!(header(&page, "content-security-policy").contains("unsafe-inline"), expected, "{path}");
        assert!(!page.text.contains("<style") && !page.text.contains("style=\""), "{path}");
        assert!(!page.text.contains("<script>"), "{path}");
    }
}

async fn files_named_by_their_content_are_kept_for_ever(stage: Stage) {
    let page = get(&stage, "/u/grace", &[]).await;
    let script = page.text.split("src=\"..").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let file = get(&stage, script, &[]).await;
    assert_eq!(file.status.as_u16(), 200, "{script}");
    assert_eq!(header(&file, "cache-control"), "max-age=31536000, immutable");
    assert_eq!(header(&file, "x-content-type-options"), "nosniff");
    assert_eq!(get(&stage, "/assets/nothing.js", &[]).await.status.as_u16(), 404);
}

async fn a_public_profile_has_a_card(stage: Stage) {
    let card = get(&stage, "/u/grace/card.svg", &[]).await;
    assert_eq!((card.status.as_u16(), header(&card, "content-type")), (200, "image/svg+xml; charset=utf-8"));
    assert_eq!(header(&card, "cache-control"), "public, max-age=60");
    assert!(header(&card, "content-security-policy").starts_with("default-src 'none'"));
    assert!(card.text.starts_with("<svg") && card.text.contains("Emerald Sprint"), "{}", card.text);
    let data =
        stage.anonymous().data("{ user(by: { handle: \"grace\" }) { games { totalCount } } }", json!(null)).await;
    let games = format!("Grace on Waymark: {} games,", data["user"]["games"]["totalCount"]);
    assert!(card.text.contains(&games), "{games} {}", card.text);
    assert_eq!(get(&stage, "/u/GRACE/card.svg", &[]).await.text, card.text, "handles have no case");
}

async fn a_card_is_sent_once_while_it_stays_the_same(stage: Stage) {
    let card = get(&stage, "/u/grace/card.svg", &[]).await;
    let tag = header(&card, "etag");
    for sent in [tag.to_owned(), format!("\"other\", {tag}"), tag.trim_start_matches("W/").to_owned(), "*".to_owned()] {
        let again = get(&stage, "/u/grace/card.svg", &[("if-none-match", &sent)]).await;
        assert_eq!((again.status.as_u16(), again.text.as_str(), header(&again, "etag")), (304, "", tag), "{sent}");
    }
    assert_eq!(get(&stage, "/u/grace/card.svg", &[("if-none-match", "\"other\"")]).await.status.as_u16(), 200);
    let rename = "mutation { updateProfile(input: { displayName: \"Amazing Grace\" }) { userErrors { message } } }";
    stage.user("grace").data(rename, json!(null)).await;
    let renamed = get(&stage, "/u/grace/card.svg", &[("if-none-match", tag)]).await;
    assert_eq!(renamed.status.as_u16(), 200);
    assert!(renamed.text.contains("Amazing Grace"), "{}", renamed.text);
}

async fn cards_are_drawn_as_often_as_an_address_may_ask(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "40")]).await;
    for _ in 0..2 {
        assert_eq!(get(&stage, "/u/grace/card.svg", &[]).await.status.as_u16(), 200);
    }
    let refused = get(&stage, "/u/grace/card.svg", &[]).await;
    assert_eq!((refused.status.as_u16(), refused.codes()), (429, vec!["RATE_LIMITED"]));
    assert!((1..=20).contains(&header(&refused, "retry-after").parse::<u32>().unwrap()));
}

async fn a_private_profile_has_no_card(stage: Stage) {
    for path in ["/u/ada/card.svg", "/u/nobody/card.svg", "/u/no-handle-at-all!/card.svg", "/u/%00/card.svg"] {
        let card = get(&stage, path, &[]).await;
        assert_eq!((card.status.as_u16(), card.text.contains("svg")), (404, false), "{path}");
    }
    let key = stage.user("ada");
    let own = Request::get("/u/ada/card.svg").header("authorization", format!("Bearer {}", key.credential()));
    assert_eq!(key.send(own.body(Body::empty()).unwrap()).await.status.as_u16(), 404, "not even for its owner");
    let hide = "mutation { setProfileVisibility(input: { visibility: PRIVATE }) { userErrors { message } } }";
    stage.user("grace").data(hide, json!(null)).await;
    assert_eq!(get(&stage, "/u/grace/card.svg", &[]).await.status.as_u16(), 404);
}

async fn what_a_user_writes_stays_text_on_the_card(stage: Stage) {
    let rename = "mutation($name: String!) { updateProfile(input: { displayName: $name }) { userErrors { message } } }";
    stage.user("grace").data(rename, json!({ "name": "<script>&\"'" })).await;
    let card = get(&stage, "/u/grace/card.svg", &[]).await;
    assert!(card.text.contains("&lt;script&gt;&amp;&quot;&#39;"), "{}", card.text);
    assert!(!card.text.contains("<script"), "{}", card.text);
}
