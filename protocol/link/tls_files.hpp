#pragma once

#include <memory>
#include <string>

#include "protocol/link/tls_context.hpp"

using SSL_CTX = struct ssl_ctx_st;
using BIO_METHOD = struct bio_method_st;

namespace spoke::mqtt {

struct SslCtxDeleter {
    void operator()(SSL_CTX* context) const noexcept;
};
struct BioMethodDeleter {
    void operator()(BIO_METHOD* method) const noexcept;
};

class TlsContext {
public:
    std::unique_ptr<SSL_CTX, SslCtxDeleter> context;
    std::unique_ptr<BIO_METHOD, BioMethodDeleter> socket_bio;  // send() without SIGPIPE
    std::string server_name;
    bool verify = true;
};

/// The first entry of OpenSSL's error queue, the cause, as text; empties the queue.
[[nodiscard]] std::string tls_error_text();

}  // namespace spoke::mqtt
