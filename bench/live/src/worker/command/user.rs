//! Whom a command runs as, looked up in `/etc/passwd`: the C library would ask services that a static program cannot load. Pure.

/// The ids of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct User {
    pub(in super::super) uid: u32,
    pub(in super::super) gid: u32,
}

/// Finds a user by name, or takes `uid:gid` as they are (`passwd(5)`).
pub(super) fn find(passwd: &str, name: &str) -> Option<User> {
    if let Some((uid, gid)) = name.split_once(':') {
        return Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? });
    }
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let mut ids = fields.skip(1);
        Some(User { uid: ids.next()?.parse().ok()?, gid: ids.next()?.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_or_by_numbers() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# x\nwww-data:x:33:34::/var/www:/usr/sbin/nologin\nbroken:x:a:b\n";
        assert_eq!(find(passwd, "www-data"), Some(User { uid: 33, gid: 34 }));
        assert_eq!(find(passwd, "65534:7"), Some(User { uid: 65_534, gid: 7 }));
        for stranger in ["www", "broken", "", "a:b", "root:0"] {
            assert_eq!(find(passwd, stranger), None, "{stranger}");
        }
    }
}
