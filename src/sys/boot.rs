//! Which boot of the machine this is.

#[cfg(target_os = "linux")]
use std::sync::OnceLock;

/// A number that is another one after each start of the machine; `None` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn boot() -> Option<[u8; 16]> {
    static BOOT: OnceLock<Option<[u8; 16]>> = OnceLock::new();
    *BOOT.get_or_init(read)
}

#[cfg(target_os = "linux")]
fn read() -> Option<[u8; 16]> {
    // A UUID in hex digits, see random(4).
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.trim().split('-').collect();
    hex::decode(digits).ok()?.try_into().ok()
}

/// A number that is another one after each start of the machine; `None` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn boot() -> Option<[u8; 16]> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn it_stays_the_same() {
        let boot = super::boot();
        assert!(boot.is_none_or(|boot| boot != [0; 16]));
        assert_eq!(boot, super::boot());
    }
}
