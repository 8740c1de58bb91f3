//! Addresses-of-record with their devices, those in trouble first where there are many.

use super::super::model::{DeviceEntry, KeepaliveEntry, RegistrationEntry};
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

pub(super) fn write(registrations: &[RegistrationEntry], clock: Clock, page: &mut Page) {
    if registrations.is_empty() {
        return;
    }
    let chosen = choose(registrations);
    let left_out = registrations.len() - chosen.len();
    page.heading("Registrations", if left_out > 0 { "those in trouble first" } else { "" });
    let mut table = Table::new(&["user", "state", "tries", "from", "NAT", "keep-alive", "reached", "round trip", "until"]);
    for registration in &chosen {
        add_rows(registration, clock, &mut table);
    }
    page.table(&table);
    if left_out > 0 {
        page.paragraph(INDENT, Tone::Faint, &super::more(left_out, "users"));
    }
    if registrations.len() <= DETAILED {
        registrations.iter().flat_map(|registration| &registration.devices).for_each(|device| write_detail(device, page));
    }
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

fn add_rows(registration: &RegistrationEntry, clock: Clock, table: &mut Table) {
    let user = Cell::new(&registration.aor).tone(Tone::Strong);
    let tries = Cell::number(tries(registration));
    let mut devices = registration.devices.iter();
    match devices.next() {
        Some(first) => add_row([user, state(registration.state, registration.last_status), tries], Some(first), clock, table),
        None => add_row([user, state(registration.state, registration.last_status), tries], None, clock, table),
    }
    for device in devices.take(DEVICES - 1) {
        add_row([Cell::default(), state(device.state, None), Cell::default()], Some(device), clock, table);
    }
    if let Some(more) = registration.devices.len().checked_sub(DEVICES).filter(|&more| more > 0) {
        let remark = Cell::new(format!("… {more} more devices")).tone(Tone::Faint);
        add_row([remark, Cell::default(), Cell::default()], None, clock, table);
    }
}

fn add_row(head: [Cell; 3], device: Option<&DeviceEntry>, clock: Clock, table: &mut Table) {
    let mut row = Vec::from(head);
    match device {
        Some(device) => row.extend(device_cells(device, clock)),
        None => row.resize_with(9, Cell::default),
    }
    table.row(row);
}

fn device_cells(device: &DeviceEntry, clock: Clock) -> [Cell; 6] {
    let (tone, reached) = words::reachability(device.reachability);
    [
        Cell::new(device.source.to_string()),
        Cell::new(device.behind_nat.as_str()),
        Cell::new(device.keepalive.map(keepalive).unwrap_or_default()),
        Cell::new(reached).tone(tone),
        Cell::number(words::lasting_or_nothing(device.rtt_s)),
        Cell::new(device.expires_at.map(|until| clock.time(until)).unwrap_or_default()),
    ]
}

/// The state, with the status code where that says more.
fn state(state: RegistrationState, last_status: Option<u16>) -> Cell {
    let (tone, text) = words::registration(state);
    let text = match last_status {
        Some(status) if status >= 300 => format!("{text} {status}"),
        _ => text.to_owned(),
    };
    Cell::new(text).tone(tone)
}

/// `14`, or `14, 12 failed`.
fn tries(registration: &RegistrationEntry) -> String {
    match registration.rejected {
        0 => words::count(registration.attempts),
        failed => format!("{}, {} failed", words::count(registration.attempts), words::count(failed)),
    }
}

fn keepalive(keepalive: KeepaliveEntry) -> String {
    format!("{} {}", words::lasting(keepalive.interval_s.0), keepalive.kind)
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
    if let Some(qualify) = device.qualified_by {
        let every = words::lasting(qualify.interval_s.0);
        page.labelled("asked", Tone::Normal, &format!("by the PBX every {every} ({})", qualify.kind));
    }
}
