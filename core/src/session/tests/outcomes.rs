use super::*;

const QOS1: QoS = QoS::AtLeastOnce;

fn accepted(story: &mut Story, qos: QoS, payload: &str) -> Ticket {
    match story.publish(qos, payload, Tag::KEPT.0) {
        Accepted::Recorded(ticket) => ticket,
        Accepted::Encoded => panic!("no record"),
    }
}

fn unheard() -> Outcome {
    let (reason, properties) = (Reason::NO_MATCHING_SUBSCRIBERS, None);
    Outcome::Acknowledged { reason, properties, possible_duplicate: false }
}

impl Story {
    fn says_nobody_listens(&mut self, id: u16) {
        let reason = Reason::NO_MATCHING_SUBSCRIBERS;
        self.says(&Packet::Ack(Ack { reason, ..Ack::new(AckKind::Puback, id) }));
    }
}

#[test]
fn a_kept_outcome_waits_for_its_owner_without_an_event() {
    let mut story = Story::online(Version::V5);
    let (one, two) = (accepted(&mut story, QOS1, "one"), accepted(&mut story, QOS1, "two"));
    story.says_nobody_listens(2);
    assert_eq!(story.events(), []);
    assert_eq!((story.session.stage(two), story.session.outcome(two)), (None, Some(&unheard())));
    assert_eq!(story.session.outcome(one), None);
    assert_ne!(accepted(&mut story, QOS1, "three").index(), two.index(), "its place is not free yet");
    assert_eq!(story.session.poll_outcome(two), Some(unheard()));
    assert_eq!((story.session.stage(two), story.session.outcome(two)), (None, None));
    assert_eq!(accepted(&mut story, QOS1, "four").index(), two.index());
    assert_eq!((story.session.stage(two), story.session.outcome(two)), (None, None), "not the next tenant's");
    story.session.forget(two);
    assert_eq!(story.session.queue().in_flight, 3);
}

#[test]
fn success_is_kept_nowhere_and_still_known() {
    let mut story = Story::online(Version::V5);
    let (one, two) = (accepted(&mut story, QOS1, "one"), accepted(&mut story, QOS1, "two"));
    story.acks(AckKind::Puback, 2);
    assert_eq!((story.session.stage(two), story.session.outcome(two)), (None, None));
    let three = accepted(&mut story, QOS1, "three");
    assert_eq!(three.index(), two.index(), "its place is free at once");
    assert_eq!(story.session.poll_outcome(two), Some(delivered()));
    assert_eq!([one, three].map(|ticket| story.session.poll_outcome(ticket)), [None, None]);
    assert_eq!(story.events(), []);
}

#[test]
fn settled_means_acknowledged_with_all_before_it_and_no_other_outcome_untold() {
    let mut story = Story::online(Version::V5);
    let settled = |story: &Story, ticket: Ticket| story.session.settled().map(|at| ticket.is_before(at));
    assert_eq!(settled(&story, Ticket::DELIVERED), Some(true));
    let [one, two, three] = ["one", "two", "three"].map(|payload| accepted(&mut story, QOS1, payload));
    assert_eq!(settled(&story, one), Some(false));
    story.acks(AckKind::Puback, 2);
    assert_eq!([one, two].map(|ticket| settled(&story, ticket)), [Some(false); 2], "the first is on the way");
    story.acks(AckKind::Puback, 1);
    assert_eq!([two, three].map(|ticket| settled(&story, ticket)), [Some(true), Some(false)]);
    let queued = {
        story.cut_after(0);
        accepted(&mut story, QOS1, "offline")
    };
    assert_eq!([three, queued].map(|ticket| settled(&story, ticket)), [Some(false); 2]);
    assert!(story.session.cancel(queued));
    assert_eq!(settled(&story, two), None, "how the last one ended is to be told first");
    assert_eq!(story.session.poll_outcome(queued), Some(Outcome::Cancelled));
    assert_eq!([two, three].map(|ticket| settled(&story, ticket)), [Some(true), Some(false)]);
}

#[test]
fn who_asks_too_early_is_told_once_when_to_ask_again() {
    let mut story = Story::online(Version::V5);
    let ticket = accepted(&mut story, QOS1, "one");
    assert_eq!(story.session.poll_outcome(ticket), None);
    assert_eq!(story.session.poll_outcome(ticket), None);
    story.acks(AckKind::Puback, 1);
    assert_eq!(story.events(), [Event::Finished { ticket }]);
    assert_eq!(story.session.poll_outcome(ticket), Some(delivered()));
}

#[test]
fn what_is_forgotten_takes_no_place() {
    let mut story = Story::online(Version::V5);
    let (early, late) = (accepted(&mut story, QOS1, "one"), accepted(&mut story, QOS1, "two"));
    story.session.forget(early);
    story.acks(AckKind::Puback, 1);
    story.acks(AckKind::Puback, 2);
    story.session.forget(late);
    story.session.forget(late);
    assert_eq!(story.events(), []);
    let next = [accepted(&mut story, QOS1, "a"), accepted(&mut story, QOS1, "b")];
    assert!(next.iter().all(|ticket| ticket.index() < 2), "{next:?}");
}

#[test]
fn a_message_dropped_at_the_call_says_so_when_asked() {
    let config = Config { queue_qos0_offline: false, ..Config::default() };
    let mut story = Story::with(Version::V5, config);
    let ticket = accepted(&mut story, QoS::AtMostOnce, "gone");
    assert_eq!(story.session.poll_outcome(ticket), Some(Outcome::Dropped));
    assert!(story.session.is_idle());
}
