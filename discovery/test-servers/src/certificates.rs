//! A certificate authority for tests, made by the `openssl` program.

use crate::process::run;
use crate::scratch::Scratch;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

/// An authority that signs certificates of servers and clients. Its files live as long as it does.
pub struct Authority {
    scratch: Scratch,
    count: AtomicU32,
}

/// A certificate and its key, as paths of PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// A fresh one.
    ///
    /// # Panics
    /// Without the `openssl` program.
    pub fn new() -> Self {
        let scratch = Scratch::new("authority");
        let (key, certificate) = (scratch.file("ca.key"), scratch.file("ca.pem"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=evener test authority",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        Self { scratch, count: AtomicU32::new(0) }
    }

    /// The path of the authority's own certificate.
    pub fn ca(&self) -> String {
        self.scratch.file("ca.pem")
    }

    /// The authority's own certificate, PEM.
    ///
    /// # Panics
    /// When the file is gone.
    pub fn ca_pem(&self) -> String {
        fs::read_to_string(self.ca()).expect("the authority's certificate")
    }

    /// A server's certificate for these names; what parses as an address is one.
    pub fn server(&self, names: &[&str]) -> Pair {
        let names: Vec<String> = names
            .iter()
            .map(|name| {
                let kind = if name.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
                format!("{kind}:{name}")
            })
            .collect();
        self.sign(
            "server",
            &format!("subjectAltName={}\nextendedKeyUsage=serverAuth,clientAuth\n", names.join(",")),
        )
    }

    /// A client's certificate with this common name.
    pub fn client(&self, name: &str) -> Pair {
        self.sign(name, "extendedKeyUsage=clientAuth\n")
    }

    fn sign(&self, name: &str, extensions: &str) -> Pair {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let file = |end: &str| self.scratch.file(&format!("{number}.{end}"));
        let (key, request, certificate) = (file("key"), file("csr"), file("pem"));
        let extensions = self.scratch.write(&format!("{number}.ext"), extensions);
        openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &self.ca(),
            "-CAkey",
            &self.scratch.file("ca.key"),
            "-set_serial",
            &(u64::from(number) + 2).to_string(),
            "-days",
            "30",
            "-extfile",
            &extensions,
            "-out",
            &certificate,
        ]);
        Pair { certificate, key }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn openssl(arguments: &[&str]) {
    run("openssl", arguments).unwrap_or_else(|reason| panic!("{reason}"));
}
