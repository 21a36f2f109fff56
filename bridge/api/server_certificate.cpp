#include "bridge/api/server_certificate.hpp"

#include <openssl/ssl.h>

#include <stdexcept>

namespace spoke::bridge {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

std::shared_ptr<ssl::context> load_certificate(std::string const& certificate,
                                               std::string const& private_key) {
    auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
    auto* native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);  // a request that waits keeps none
    error_code error;
    context->use_certificate_chain_file(certificate, error);
    if (error) throw std::runtime_error(certificate + ": " + error.message());
    context->use_private_key_file(private_key, ssl::context::pem, error);
    if (error) throw std::runtime_error(private_key + ": " + error.message());
    if (SSL_CTX_check_private_key(native) != 1) {
        throw std::runtime_error(private_key + ": is not the key of " + certificate);
    }
    return context;
}

}  // namespace spoke::bridge
