//! What a contact may do with presence and requests, and must not get others into.

use super::*;

/// The presence of a device that names the features with this number.
fn ver(number: usize) -> String {
    // Eight digits are base64 as well.
    format!("{number:08}")
}

#[test]
fn who_changes_its_features_before_it_explains_them_leaves_nobody_waiting() {
    let mut bench = Bench::new();
    bench.appears("bob@b/1", &our_ver());
    let question = bench.iqs();
    bench.appears("bob@b/2", &our_ver());
    bench.appears("bob@b/1", &ver(1));
    // Neither the answer that is about something else by now nor silence holds the others up.
    bench.explain(&question[0], false);
    let honest = bench.iqs().into_iter().find(|q| q.to().is_some_and(|to| to.to_string() == "bob@b/2")).unwrap();
    bench.explain(&honest, true);
    assert!(bench.events().contains(&available("bob@b/2", true)));
    bench.appears("bob@b/3", &our_ver());
    assert!(bench.events().contains(&available("bob@b/3", true)));
}

#[test]
fn a_contact_that_never_explains_itself_keeps_no_others_waiting() {
    let mut bench = Bench::new();
    bench.feed(
        "<iq type='set' id='push'><query xmlns='jabber:iq:roster'><item jid='eve@e' subscription='both'/></query></iq>",
    );
    for number in 0..500 {
        let device = format!("eve@e/{}", number % 60);
        bench.appears(&device, &ver(number));
        if number % 3 == 0 {
            bench.feed(&format!("<presence from='{device}' type='unavailable'/>"));
        }
    }
    let to_eve = bench.iqs().iter().filter(|iq| iq.to().is_some()).count();
    assert!(to_eve <= 4, "{to_eve} questions at once");
    bench.appears("bob@b/1", &our_ver());
    let questions = bench.iqs();
    assert_eq!(questions.len(), 1);
    bench.explain(&questions[0], true);
    assert!(bench.events().contains(&available("bob@b/1", true)));
}

#[test]
fn what_is_remembered_of_unexplained_devices_does_not_grow() {
    let mut bench = Bench::new();
    for number in 0..3_000 {
        bench.appears(&format!("bob@b/{}", number % 3), &ver(number));
        bench.appears(&format!("bob@b/{}", 3 + number % 2), &our_ver());
        bench.feed(&format!("<presence from='bob@b/{}' type='unavailable'/>", 3 + number % 2));
    }
    let (queue, hashes) = bench.agent.unexplained();
    assert!(queue <= 5 && hashes <= 5, "{queue} in the queue, {hashes} hashes");
}

#[test]
fn requests_of_one_contact_are_cut_to_a_rate() {
    let mut bench = Bench::new();
    let mut heard = 0;
    for number in 0..3_000 {
        bench.feed(&format!(
            "<iq type='set' id='{number}' from='bob@b/1'><cancel xmlns='urn:x-xbt:1' id='{}'/></iq>",
            offer().id
        ));
        for event in bench.events() {
            let SessionEvent::Requested { token, .. } = event else { continue };
            heard += 1;
            let answer = Ok(Answer::Acknowledged);
            bench.agent.do_command(SessionCommand::Answer { token, answer }, bench.now);
        }
    }
    assert_eq!(heard, 1_000);
    let refusal = bench.iqs().pop().unwrap();
    assert_eq!(condition(&refusal), &DefinedCondition::ResourceConstraint);
}

#[test]
fn one_contact_that_does_not_answer_leaves_room_for_requests_to_others() {
    let mut bench = Bench::new();
    for token in 0..2_000 {
        bench.agent.do_command(request(token, &format!("eve@e/{}", token % 64)), bench.now);
    }
    bench.events();
    bench.iqs();
    bench.agent.do_command(request(9_999, "bob@b/1"), bench.now);
    assert_eq!((bench.iqs().len(), bench.events()), (1, vec![]));
}
