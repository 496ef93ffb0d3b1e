//! Those who wait for room in the queue: first in, first out, with places kept for the ones that were woken.

use std::collections::VecDeque;
use std::task::Waker;

use super::slab::{Key, Slab};

/// Publishers that wait for room.
#[derive(Debug, Default)]
pub(crate) struct Room {
    waiters: Slab<Waiter>,
    order: VecDeque<Key>,
    /// Woken, and not yet back for their place.
    granted: usize,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    granted: bool,
}

impl Room {
    /// Nobody waits and no place is kept.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.granted == 0 && self.order.is_empty()
    }

    /// May somebody who has not waited take a place, if so many are free?
    pub(crate) fn is_open(&self, free: usize) -> bool {
        self.waiters.len() == self.granted && free > self.granted
    }

    /// Stand in line.
    pub(crate) fn wait(&mut self, waker: &Waker) -> Key {
        let key = self.waiters.insert(Waiter { waker: waker.clone(), granted: false });
        self.order.push_back(key);
        key
    }

    /// Has this one a place? If not, whom to wake when it has.
    pub(crate) fn poll(&mut self, key: Key, waker: &Waker, retired: &mut Vec<Waker>) -> bool {
        let Some(waiter) = self.waiters.get_mut(key) else { return true };
        if !waiter.granted && !waiter.waker.will_wake(waker) {
            retired.push(std::mem::replace(&mut waiter.waker, waker.clone()));
        }
        waiter.granted
    }

    /// The place was not enough (bytes): back to the head of the line.
    pub(crate) fn again(&mut self, key: Key, waker: &Waker, retired: &mut Vec<Waker>) {
        if let Some(waiter) = self.waiters.get_mut(key) {
            retired.push(std::mem::replace(&mut waiter.waker, waker.clone()));
            if std::mem::take(&mut waiter.granted) {
                self.granted -= 1;
                self.order.push_front(key);
            }
        }
    }

    /// Leave, with or without having used the place.
    pub(crate) fn leave(&mut self, key: Key, retired: &mut Vec<Waker>) {
        if let Some(waiter) = self.waiters.remove(key) {
            retired.push(waiter.waker);
            if waiter.granted {
                self.granted -= 1;
            } else if self.order.front() == Some(&key) {
                self.order.pop_front();
            }
        }
        if self.waiters.len() == 0 {
            self.order.clear();
        }
    }

    /// Does anybody wait?
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Give places to as many as there are.
    pub(crate) fn grant(&mut self, free: usize, wake: &mut Vec<Waker>) {
        while self.granted < free {
            let Some(key) = self.order.pop_front() else { return };
            let Some(waiter) = self.waiters.get_mut(key) else { continue };
            waiter.granted = true;
            self.granted += 1;
            wake.push(waiter.waker.clone());
        }
    }

    /// Nobody will ever get a place: wake them all to see that.
    pub(crate) fn close(&mut self, wake: &mut Vec<Waker>) {
        wake.extend(self.waiters.values_mut().map(|waiter| waiter.waker.clone()));
    }

    /// Wake this one, whatever its place.
    pub(crate) fn wake(&self, key: Key, wake: &mut Vec<Waker>) {
        wake.extend(self.waiters.get(key).map(|waiter| waiter.waker.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_in_order_and_kept_for_the_woken() {
        let (mut room, mut woken) = (Room::default(), Vec::new());
        assert!(room.is_idle());
        let keys: Vec<Key> = (0..3).map(|_| room.wait(Waker::noop())).collect();
        assert!(!room.is_open(9), "no overtaking");
        room.grant(2, &mut woken);
        assert_eq!(woken.len(), 2);
        let placed: Vec<bool> =
            keys.iter().map(|&key| room.poll(key, Waker::noop(), &mut Vec::new())).collect();
        assert_eq!(placed, [true, true, false]);
        room.leave(keys[0], &mut Vec::new());
        room.grant(1, &mut woken);
        assert_eq!(woken.len(), 2, "one place is free and kept for the second");
        room.again(keys[1], Waker::noop(), &mut Vec::new());
        room.grant(1, &mut woken);
        assert!(room.poll(keys[1], Waker::noop(), &mut Vec::new()), "the head of the line again");
        room.leave(keys[2], &mut Vec::new());
        room.leave(keys[1], &mut Vec::new());
        assert!(room.is_empty() && room.is_idle());
    }

    #[test]
    fn a_waiter_that_left_takes_no_place() {
        let (mut room, mut woken) = (Room::default(), Vec::new());
        let keys: Vec<Key> = (0..3).map(|_| room.wait(Waker::noop())).collect();
        room.leave(keys[1], &mut Vec::new());
        room.grant(2, &mut woken);
        assert!(
            room.poll(keys[0], Waker::noop(), &mut Vec::new())
                && room.poll(keys[2], Waker::noop(), &mut Vec::new())
        );
    }
}
