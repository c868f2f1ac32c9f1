//! Many files, few of them open. Alone in its process, whose open files it counts.
#![allow(clippy::unwrap_used, clippy::panic)]
mod common;
use common::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_content_of_10_000_files_needs_few_open_at_a_time() {
    let (mut a, mut b) = (Node::new(), Node::new());
    for index in 0..10_000usize {
        write(&a.path(&format!("out/many/d{}/f{index}", index % 61)), &noise(index % 1500, index as u64));
    }
    let prepared = a.seed(&a.path("out/many")).await;
    assert_eq!(prepared.files, 10_000);
    b.fetch(&prepared);
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watch = std::thread::spawn({
        let over = over.clone();
        move || {
            let mut most = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                most = most.max(std::fs::read_dir("/proc/self/fd").unwrap().count());
                std::thread::yield_now();
            }
            most
        }
    });
    join(&a, &b);
    let path = b.completed().await;
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    let most = watch.join().unwrap();
    assert!(most < 400, "{most} open files");
    assert!(tree(&path) == tree(&a.path("out/many")));
}
