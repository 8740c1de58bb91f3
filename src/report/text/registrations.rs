//! Addresses-of-record with their devices, those in trouble first where there are many.

use std::cmp::Reverse;

use super::super::filter::Filter;
use super::super::model::{DeviceEntry, RegistrationEntry};
use super::super::style::Tone;
use super::page::{INDENT, Page};
use super::table::{Cell, Table};
use super::words::{self, Clock};
use crate::track::vocabulary::{Reachability, RegistrationState};

/// Addresses-of-record shown before the rest is only counted.
const SHOWN: usize = 40;
/// Devices shown of one address-of-record.
const DEVICES: usize = 4;
/// Up to this many addresses-of-record are shown with what their phones say of themselves.
const DETAILED: usize = 3;

pub(super) fn write(registrations: &[RegistrationEntry], filter: &Filter, clock: Clock, page: &mut Page) {
    if registrations.is_empty() {
        return;
    }
    let chosen = choose(registrations);
    let left_out = registrations.len() - chosen.len();
    let host = common_host(registrations);
    page.heading("Registrations", &remark(host, left_out));
    let mut table = Table::new(&["user", "state", "failed", "from", "NAT", "keep-alive", "ping", "until"]);
    for registration in &chosen {
        add_rows(registration, host, clock, &mut table);
    }
    page.table(&table);
    if left_out > 0 {
        page.paragraph(INDENT, Tone::Faint, &super::more(left_out, ["user", "users"], filter));
    }
    if registrations.len() <= DETAILED {
        registrations.iter().flat_map(|registration| devices(registration).take(DEVICES)).for_each(|device| write_detail(device, page));
    }
}

/// The host of all addresses-of-record, where they have only one.
fn common_host(registrations: &[RegistrationEntry]) -> Option<&str> {
    let mut hosts = registrations.iter().map(|registration| registration.aor.split_once('@').map(|(_, host)| host));
    let first = hosts.next().flatten()?;
    hosts.all(|host| host == Some(first)).then_some(first)
}

fn remark(host: Option<&str>, left_out: usize) -> String {
    let host = host.map(|host| format!("at {host}"));
    let order = (left_out > 0).then(|| "those in trouble first".to_owned());
    host.into_iter().chain(order).collect::<Vec<_>>().join(", ")
}

/// All of them as they are, or of many those in trouble and as many others as there is room for.
fn choose(registrations: &[RegistrationEntry]) -> Vec<&RegistrationEntry> {
    let mut chosen: Vec<&RegistrationEntry> = registrations.iter().collect();
    if chosen.len() > SHOWN {
        chosen.sort_by_key(|registration| !is_troubled(registration));
        chosen.truncate(SHOWN);
    }
    chosen
}

fn is_troubled(registration: &RegistrationEntry) -> bool {
    !matches!(registration.state, RegistrationState::Registered | RegistrationState::Unregistered | RegistrationState::Unknown)
        || registration.devices.iter().any(|device| matches!(device.reachability, Reachability::Unreachable | Reachability::Lagged))
}

/// Those that are registered first, then those that are not, the last heard of first.
fn devices(registration: &RegistrationEntry) -> impl Iterator<Item = &DeviceEntry> {
    let (registered, mut others): (Vec<_>, Vec<_>) =
        registration.devices.iter().partition(|device| device.state == RegistrationState::Registered);
    others.sort_by_key(|device| Reverse(device.last_seen));
    registered.into_iter().chain(others)
}

fn add_rows(registration: &RegistrationEntry, host: Option<&str>, clock: Clock, table: &mut Table) {
    let user = match registration.aor.split_once('@') {
        Some((user, _)) if host.is_some() => user,
        _ => &registration.aor,
    };
    let mut devices = devices(registration);
    let head = [Cell::new(user).tone(Tone::Strong), state(registration), Cell::number(failed(registration))];
    add_row(head, devices.next(), clock, table);
    for device in devices.take(DEVICES - 1) {
        let (tone, text) = words::device(device.state);
        add_row([Cell::default(), Cell::new(text).tone(tone), Cell::default()], Some(device), clock, table);
    }
    if let Some(more) = registration.devices.len().checked_sub(DEVICES).filter(|&more| more > 0) {
        let devices = if more == 1 { "device" } else { "devices" };
        let remark = Cell::new(format!("… {more} more {devices}")).tone(Tone::Faint);
        add_row([remark, Cell::default(), Cell::default()], None, clock, table);
    }
}

fn add_row(head: [Cell; 3], device: Option<&DeviceEntry>, clock: Clock, table: &mut Table) {
    let mut row = Vec::from(head);
    match device {
        Some(device) => row.extend(device_cells(device, clock)),
        None => row.resize_with(8, Cell::default),
    }
    table.row(row);
}

fn device_cells(device: &DeviceEntry, clock: Clock) -> [Cell; 5] {
    let (tone, reached) = words::reachability(device.reachability, device.rtt_s);
    [
        Cell::new(device.source.to_string()),
        Cell::new(device.behind_nat.as_str()),
        Cell::number(device.keepalive.map(|keepalive| words::lasting(keepalive.interval_s.0)).unwrap_or_default()),
        Cell::number(reached).tone(tone),
        Cell::new(device.expires_at.map(|until| clock.time(until)).unwrap_or_default()),
    ]
}

/// The state, with the status code where that says more.
fn state(entry: &RegistrationEntry) -> Cell {
    let (tone, text) = words::registration(entry);
    let text = match entry.last_status.filter(|_| !entry.awaits_credentials()) {
        Some(status) if status >= 300 => format!("{text} {status}"),
        _ => text.to_owned(),
    };
    Cell::new(text).tone(tone)
}

/// `12/14`, or nothing.
fn failed(registration: &RegistrationEntry) -> String {
    match registration.rejected {
        0 => String::new(),
        failed => format!("{}/{}", words::count(failed), words::count(registration.attempts)),
    }
}

fn write_detail(device: &DeviceEntry, page: &mut Page) {
    page.blank();
    page.labelled("contact", Tone::Normal, &device.contact);
    page.labelled("from", Tone::Normal, &format!("{} over {}", device.source, device.transport.as_str().to_uppercase()));
    if let Some(user_agent) = &device.user_agent {
        page.labelled("software", Tone::Normal, user_agent);
    }
    if let Some(instance) = &device.instance {
        page.labelled("instance", Tone::Normal, instance);
    }
    if let Some(keepalive) = device.keepalive {
        let (every, most) = (words::lasting(keepalive.interval_s.0), words::lasting(keepalive.max_gap_s.0));
        page.labelled("sends", Tone::Normal, &format!("{} every {every}, longest gap {most}", keepalive.kind));
    }
    if let Some(qualify) = device.qualified_by {
        let every = words::lasting(qualify.interval_s.0);
        page.labelled("is sent", Tone::Normal, &format!("{} every {every} by the PBX", qualify.kind));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::Stamp;
    use super::super::super::sample;
    use super::*;
    use crate::time::PacketTime;

    #[test]
    fn what_is_registered_comes_before_what_was() {
        let mut entry = sample::office().registrations.remove(0);
        let device = entry.devices.remove(0);
        let seen = |second: i64| Some(Stamp(PacketTime::from_parts(second, 0)));
        let left = |second| DeviceEntry { state: RegistrationState::Unregistered, last_seen: seen(second), ..device.clone() };
        let there = DeviceEntry { state: RegistrationState::Registered, last_seen: seen(1), ..device.clone() };
        entry.devices = vec![left(5), left(7), there];
        assert_eq!(devices(&entry).map(|device| device.last_seen).collect::<Vec<_>>(), [seen(1), seen(7), seen(5)]);
    }

    #[test]
    fn the_heading_names_the_host_that_all_have_and_none_where_there_is_none() {
        let mut registrations = sample::office().registrations;
        registrations.truncate(2);
        let heading = |aors: [&str; 2], registrations: &mut [RegistrationEntry]| {
            for (entry, aor) in registrations.iter_mut().zip(aors) {
                aor.clone_into(&mut entry.aor);
            }
            remark(common_host(registrations), 0)
        };
        assert_eq!(heading(["1001@pbx.example.com", "1002@pbx.example.com"], &mut registrations), "at pbx.example.com");
        assert_eq!(heading(["1001@pbx.example.com", "1001@pbx.example.net"], &mut registrations), "");
        assert_eq!(heading(["+4930555011", "+4930555012"], &mut registrations), "");
    }
}
