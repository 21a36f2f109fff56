#pragma once

#include <openssl/types.h>

#include <optional>
#include <string>

#include "broker/net/tls_settings.hpp"

namespace spoke::broker {

/// The user name that a certificate stands for: the common name, or the first alternative name of
/// the kind asked for.
/// Out     nothing if the certificate has none, or one that no MQTT user name can be: empty, longer
///         than 65 535 bytes, not UTF-8, or with a NUL in it.
[[nodiscard]] std::optional<std::string> identity_of(X509 const* certificate,
                                                     TlsSettings::Identity kind);

}  // namespace spoke::broker
