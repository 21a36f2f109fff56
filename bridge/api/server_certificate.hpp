#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

namespace spoke::bridge {

/// A TLS context (1.2 and later) with a certificate chain and its key, both PEM files.
/// Errors  std::runtime_error, one line that names the file.
[[nodiscard]] std::shared_ptr<boost::asio::ssl::context> load_certificate(
    std::string const& certificate, std::string const& private_key);

}  // namespace spoke::bridge
