//! The records of a batch in the order of their groups.

use plugin_api::Access;

/// Memory for that, kept from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// The group of each record.
    numbers: Vec<u32>,
    /// By group: how many records of the batch are in it, then where the next of them goes. 0 between two batches.
    places: Vec<u32>,
    /// The groups of the batch, in the order in which they come, each with the end of its records.
    present: Vec<(u32, u32)>,
    /// The records' numbers in the batch, in the order of their groups.
    order: Vec<u32>,
    records: Vec<Access<'static>>,
}

impl Sorted {
    /// Hands the records of each group over, in the order in which they are in the batch: groups go by their first record. What
    /// comes first of an error is the last that is handed over.
    ///
    /// # Errors
    /// The taker's.
    pub(super) fn sort<E>(
        &mut self,
        batch: &[Access<'_>],
        mut number: impl FnMut(&Access<'_>) -> u32,
        mut take: impl FnMut(u32, &[Access<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Sorted { numbers, places, present, order, .. } = self;
        numbers.clear();
        present.clear();
        for record in batch {
            let group = number(record);
            let at = group as usize;
            if places.len() <= at {
                places.resize(at + 1, 0);
            }
            if places[at] == 0 {
                present.push((group, 0));
            }
            places[at] += 1;
            numbers.push(group);
        }
        if let [(group, _)] = present[..] {
            // As they are.
            places[group as usize] = 0;
            return take(group, batch);
        }
        let mut begin = 0;
        for (group, end) in present.iter_mut() {
            let place = &mut places[*group as usize];
            *end = begin + *place;
            *place = begin;
            begin = *end;
        }
        order.clear();
        order.resize(batch.len(), 0);
        for (at, group) in numbers.iter().enumerate() {
            let place = &mut places[*group as usize];
            order[*place as usize] = at as u32;
            *place += 1;
        }
        for (group, _) in present.iter() {
            places[*group as usize] = 0;
        }
        let mut records = recycle(std::mem::take(&mut self.records));
        records.extend(self.order.iter().map(|at| batch[*at as usize]));
        let (mut done, mut begin) = (Ok(()), 0);
        for (group, end) in &self.present {
            let end = *end as usize;
            done = take(*group, &records[begin..end]);
            if done.is_err() {
                break;
            }
            begin = end;
        }
        self.records = recycle(records);
        done
    }
}

/// An empty vector for records of another lifetime, in the same memory: collecting in place does not allocate.
fn recycle<'b>(mut records: Vec<Access<'_>>) -> Vec<Access<'b>> {
    records.clear();
    records.into_iter().map(|_| Access::new("")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The groups with the lines of their records, as they are handed over.
    fn sorted(sorted: &mut Sorted, groups: &[u32]) -> Vec<(u32, Vec<String>)> {
        let lines: Vec<String> = groups.iter().enumerate().map(|(at, group)| format!("{group} {at}")).collect();
        let batch: Vec<Access<'_>> = lines.iter().map(|line| Access::new(line)).collect();
        let mut taken = Vec::new();
        let number = |record: &Access<'_>| record.line().split(' ').next().unwrap().parse().unwrap();
        let done: Result<(), ()> = sorted.sort(&batch, number, |group, records| {
            taken.push((group, records.iter().map(|record| record.line().to_owned()).collect()));
            Ok(())
        });
        done.unwrap();
        taken
    }

    #[test]
    fn each_group_gets_its_records_once_and_in_their_order() {
        let taken = sorted(&mut Sorted::default(), &[3, 1, 3, 0, 1, 3]);
        let of = |group: u32, lines: &[&str]| (group, lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert_eq!(taken, [of(3, &["3 0", "3 2", "3 5"]), of(1, &["1 1", "1 4"]), of(0, &["0 3"])]);
    }

    #[test]
    fn an_error_ends_it_and_leaves_nothing_behind() {
        let mut memory = Sorted::default();
        let batch = [Access::new("0"), Access::new("1"), Access::new("0"), Access::new("2")];
        let mut asked = Vec::new();
        let number = |record: &Access<'_>| record.line().parse().unwrap();
        let done = memory.sort(&batch, number, |group, _| {
            asked.push(group);
            if group == 1 { Err("no") } else { Ok(()) }
        });
        assert_eq!((done, asked), (Err("no"), vec![0, 1]));
        assert_eq!(sorted(&mut memory, &[2, 0, 2])[0].1, ["2 0", "2 2"]);
    }

    #[test]
    fn nothing_is_allocated_once_warm() {
        let mut memory = Sorted::default();
        let groups = [1, 0, 2, 1, 0, 2];
        let _ = sorted(&mut memory, &groups);
        let room = |memory: &Sorted| {
            let Sorted { numbers, places, present, order, records } = memory;
            (numbers.as_ptr(), places.as_ptr(), present.as_ptr(), order.as_ptr(), records.as_ptr())
        };
        let before = room(&memory);
        let _ = sorted(&mut memory, &groups);
        assert_eq!(room(&memory), before);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(batches in prop::collection::vec(prop::collection::vec(0u32..9, 0..60), 1..5)) {
            let mut memory = Sorted::default();
            for groups in batches {
                let taken = sorted(&mut memory, &groups);
                let mut at: Vec<String> = Vec::new();
                for (group, lines) in taken {
                    prop_assert!(!lines.is_empty() || groups.is_empty());
                    let begin = format!("{group} ");
                    prop_assert!(lines.iter().all(|line| line.starts_with(&begin)));
                    at.extend(lines);
                }
                at.sort();
                let mut all: Vec<String> = groups.iter().enumerate().map(|(at, group)| format!("{group} {at}")).collect();
                all.sort();
                prop_assert_eq!(at, all);
            }
        }
    }
}
