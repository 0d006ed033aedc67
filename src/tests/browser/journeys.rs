//! The journeys of an artist, in a real browser.

#[tokio::test(flavor = "multi_thread")]
async fn smoke() {
    let b = super::Browser::open(360, 740).await;
    b.go("data:text/html,<h1>hello</h1><script>console.error('boo')</script>").await;
    assert_eq!(b.text("h1").await, "hello");
    assert_eq!(b.run("return innerWidth").await, serde_json::json!(360));
    let c = b.complaints().await;
    assert_eq!(c.len(), 1, "{c:?}");
    b.close().await;
}
