//! Recipients of one send help each other, where they allow it.

use xbt_tests::content::MIB;
use xbt_tests::one_to_many::one_to_many;

#[test]
fn recipients_of_one_send_help_each_other_so_that_the_sender_sends_little_more_than_once() {
    let shared = one_to_many(3, 24 * MIB, 2 * MIB);
    println!("{shared:?}: {:.2} times", shared.times());
    assert!(shared.uploaded < 2 * shared.size, "{shared:?}");
}
