#pragma once

#include <memory>
#include <string>

namespace spoke::mqtt {

struct TlsOptions {
    std::string ca_file{};           // PEM; empty: the system's authorities
    std::string certificate_file{};  // PEM chain of the client; empty: none
    std::string key_file{};          // PEM; empty: in certificate_file
    std::string server_name{};  // for SNI and the host check; empty: the host that is connected to
    bool verify = true;         // false: any certificate will do. For tests.
};

/// Certificates and settings of TLS connections, loaded once and shared by many links.
class TlsContext;

/// Loads the files.
/// Errors  std::runtime_error with one line: "cannot load the key /etc/key.pem: bad end line".
[[nodiscard]] std::shared_ptr<TlsContext const> load_tls(TlsOptions const& options);

}  // namespace spoke::mqtt
