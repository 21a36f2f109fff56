#include "broker/net/transport_tls.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "broker/net/tls_identity.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {

namespace {

constexpr std::size_t kRecordMax = 16 * 1024;
/// Ciphertext read at once, and plaintext encrypted before it is written.
constexpr std::size_t kBatch = 64 * 1024;
constexpr std::size_t kReadMin = 4 * 1024;
/// Writes stop far below it; only answers to key updates get there.
constexpr std::size_t kUnsentMax = 1024 * 1024;

}  // namespace

/// One thread's shared memory. A call of a transport holds it from enter() to leave().
struct TlsTransport::Io {
    std::array<std::byte, kBatch> input;
    std::size_t begin = 0;  // of what OpenSSL has not taken of `input`
    std::size_t end = 0;
    bool at_end = false;                       // nothing more will come
    bool is_drained = false;                   // the layer below has nothing more now
    Buffer output{};                           // what OpenSSL has written
    bool is_sent = false;                      // some of what write_some() was given
    std::array<std::byte, kRecordMax> record;  // several pieces as one record

    [[nodiscard]] static BIO_METHOD* method();
};

TlsTransport::Io& TlsTransport::io() noexcept {
    thread_local std::unique_ptr<Io> const made{new Io};
    return *made;
}

BIO_METHOD* TlsTransport::Io::method() {
    static BIO_METHOD* const made = [] {
        auto* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "spoke memory");
        BIO_meth_set_create(method, [](BIO* bio) {
            BIO_set_init(bio, 1);
            return 1;
        });
        BIO_meth_set_read(method, [](BIO* bio, char* to, int size) {
            auto& io = TlsTransport::io();
            BIO_clear_retry_flags(bio);
            auto taken = std::min(static_cast<std::size_t>(size), io.end - io.begin);
            if (taken == 0) {
                if (io.at_end) return 0;
                BIO_set_retry_read(bio);
                return -1;
            }
            std::memcpy(to, io.input.data() + io.begin, taken);
            io.begin += taken;
            return static_cast<int>(taken);
        });
        BIO_meth_set_write(method, [](BIO*, char const* from, int size) {
            auto const* bytes = reinterpret_cast<std::byte const*>(from);
            auto& output = TlsTransport::io().output;
            output.insert(output.end(), bytes, bytes + size);
            return size;
        });
        BIO_meth_set_ctrl(method, [](BIO*, int command, long, void*) -> long {
            if (command == BIO_CTRL_EOF) return TlsTransport::io().at_end ? 1 : 0;
            return command == BIO_CTRL_FLUSH ? 1 : 0;
        });
        return method;
    }();
    return made;
}

TlsTransport::TlsTransport(std::unique_ptr<Transport> below, TlsContext const& context)
    : below_(std::move(below)), context_(context) {
    set_open(false);
}

TlsTransport::~TlsTransport() = default;

void TlsTransport::enter(Io& io) noexcept {
    io.begin = 0;
    io.end = unread_.size();
    io.at_end = below_closed_;
    io.is_drained = false;
    io.output.clear();
    ERR_clear_error();  // or SSL_get_error() may take an old one for its own
    if (unread_.empty()) return;
    std::memcpy(io.input.data(), unread_.data(), unread_.size());
    Buffer{}.swap(unread_);
}

void TlsTransport::leave(Io& io) noexcept {
    if (io.begin < io.end) unread_.assign(io.input.data() + io.begin, io.input.data() + io.end);
    if (held_back_) {
        unsent_ = io.output;
    } else {
        flush(io);
    }
    if (unsent_.size() > kUnsentMax && !failure_) {
        give_up("a TLS peer asks for answers and reads none");
        below_closed_ = true;
    }
    update_flags();
}

void TlsTransport::update_flags() noexcept {
    bool held = below_closed_ || peer_ended_ || more_inside_;
    set_has_input(below_->has_input() || (!ends_ && !failure_ && held));
    set_wants_write(below_->wants_write() || (!unsent_.empty() && !below_closed_));
}

// --- reading ---

IoResult TlsTransport::read_some(std::span<std::byte> into) noexcept {
    if (ends_ || failure_) return discard(into);
    auto& shared = io();
    enter(shared);
    auto result = read_open(shared, into);
    leave(shared);
    return result;
}

IoResult TlsTransport::read_open(Io& io, std::span<std::byte> into) noexcept {
    if (!is_open()) {
        auto status = open(io);
        if (status != IoResult::Status::done) return {status, 0};
        auto result = records_ ? read_records(io, into) : read_ssl(io, into);
        // The tickets leave together with the answer to what came behind the handshake.
        held_back_ = result.size > 0 && unsent_.empty() && !io.output.empty();
        return result;
    }
    return records_ ? read_records(io, into) : read_ssl(io, into);
}

IoResult TlsTransport::read_ssl(Io& io, std::span<std::byte> into) noexcept {
    std::size_t size = 0;
    while (size < into.size()) {
        std::size_t more = 0;
        if (SSL_read_ex(ssl_.get(), into.data() + size, into.size() - size, &more) == 1) {
            size += more;
            continue;
        }
        int error = SSL_get_error(ssl_.get(), 0);
        if (error == SSL_ERROR_WANT_READ && fill(io, into.size() - size)) continue;
        if (error == SSL_ERROR_WANT_READ && !below_closed_) break;
        // What came before the end counts first; the next read tells the end.
        if (size > 0) break;
        if (below_closed_ || error == SSL_ERROR_ZERO_RETURN) {
            ERR_clear_error();
            return {IoResult::Status::closed, 0};
        }
        return {give_up(take_tls_error()), 0};
    }
    more_inside_ = size == into.size() && (io.begin < io.end || SSL_pending(ssl_.get()) > 0);
    if (size == 0) return {IoResult::Status::would_block, 0};
    return {IoResult::Status::done, size};
}

IoResult TlsTransport::read_records(Io& io, std::span<std::byte> into) noexcept {
    std::size_t size = std::min(plain_.size(), into.size());
    std::copy_n(plain_.begin(), size, into.begin());
    plain_.erase(plain_.begin(), plain_.begin() + static_cast<std::ptrdiff_t>(size));
    if (plain_.empty()) Buffer{}.swap(plain_);
    while (size < into.size() && !peer_ended_) {
        auto opened =
            records_->open(std::span{io.input}.subspan(io.begin, io.end - io.begin), io.output);
        if (opened.problem) {
            records_->seal_alert(*opened.problem, io.output);
            return {give_up(fmt::format("broken TLS, alert {}",
                                        static_cast<unsigned>(*opened.problem))),
                    0};
        }
        if (opened.size == 0) {
            if (!fill(io, into.size() - size)) break;
            continue;
        }
        io.begin += opened.size;
        peer_ended_ = opened.is_end;
        auto fits = std::min(opened.plain.size(), into.size() - size);
        std::copy_n(opened.plain.begin(), fits, into.begin() + static_cast<std::ptrdiff_t>(size));
        plain_.assign(opened.plain.begin() + static_cast<std::ptrdiff_t>(fits), opened.plain.end());
        size += fits;
    }
    more_inside_ = size == into.size() && (io.begin < io.end || !plain_.empty());
    if (size > 0) return {IoResult::Status::done, size};
    bool ended = below_closed_ || peer_ended_;
    return {ended ? IoResult::Status::closed : IoResult::Status::would_block, 0};
}

bool TlsTransport::fill(Io& io, std::size_t room) noexcept {
    if (below_closed_ || io.is_drained) return false;
    std::size_t held = io.end - io.begin;
    std::memmove(io.input.data(), io.input.data() + io.begin, held);
    io.begin = 0;
    io.end = held;
    std::size_t asked = std::clamp(room, kReadMin, kBatch - held);
    auto result = below_->read_some(std::span{io.input}.subspan(held, asked));
    if (result.status == IoResult::Status::would_block) return false;
    io.is_drained = result.status == IoResult::Status::done && result.size < asked;
    if (result.status != IoResult::Status::done) {
        below_closed_ = true;
        io.at_end = true;
        return true;  // OpenSSL finds the end
    }
    io.end = held + result.size;
    return true;
}

/// The peer's end is all that is waited for.
IoResult TlsTransport::discard(std::span<std::byte> scratch) noexcept {
    if (below_closed_) return {IoResult::Status::closed, 0};
    auto result = below_->read_some(scratch);
    update_flags();
    return result;
}

// --- the handshake ---

IoResult::Status TlsTransport::open(Io& io) noexcept {
    if (!below_->is_open() || !ssl_) {
        // A connection that says nothing has no state.
        if (!fill(io, kRecordMax)) return IoResult::Status::would_block;
        if (below_closed_) return IoResult::Status::closed;
        ssl_ = context_.make_ssl();
        auto* bio = BIO_new(Io::method());
        if (!ssl_ || bio == nullptr) {
            BIO_free(bio);
            return give_up("out of memory");
        }
        SSL_set_bio(ssl_.get(), bio, bio);
        SSL_set_app_data(ssl_.get(), this);
        secrets_ = std::make_unique<Secrets>();
        SSL_set_accept_state(ssl_.get());
    }
    std::size_t before = 0;
    for (;;) {
        before = io.output.size();
        int done = SSL_do_handshake(ssl_.get());
        if (done == 1) break;
        int error = SSL_get_error(ssl_.get(), done);
        if (error == SSL_ERROR_WANT_READ && fill(io, kRecordMax)) continue;
        if (error == SSL_ERROR_WANT_READ && !below_closed_) return IoResult::Status::would_block;
        auto why = handshake_error();
        if (!below_closed_) return give_up(fmt::format("TLS handshake failed: {}", why));
        failure_ = std::make_unique<std::string>("closed by the peer in its TLS handshake");
        return IoResult::Status::closed;
    }
    if (auto problem = check_peer(); !problem.empty()) {
        return give_up(fmt::format("TLS handshake failed: {}", problem));
    }
    if (spdlog::should_log(spdlog::level::debug)) log_opened();
    hand_over(io, before);
    set_open(true);
    return IoResult::Status::done;
}

void TlsTransport::on_key_line(SSL const* ssl, char const* line) noexcept {
    auto* self = static_cast<TlsTransport*>(SSL_get_app_data(ssl));
    if (self == nullptr || !self->secrets_) return;
    std::string_view text{line};
    Buffer* secret = text.starts_with("CLIENT_TRAFFIC_SECRET_0 ")   ? &self->secrets_->client
                     : text.starts_with("SERVER_TRAFFIC_SECRET_0 ") ? &self->secrets_->server
                                                                    : nullptr;
    if (secret == nullptr) return;
    auto hex = text.substr(text.rfind(' ') + 1);
    secret->resize(hex.size() / 2);
    std::size_t size = 0;
    bool good = OPENSSL_hexstr2buf_ex(reinterpret_cast<unsigned char*>(secret->data()),
                                      secret->size(), &size, std::string{hex}.c_str(), '\0') == 1;
    if (!good) secret->clear();
}

void TlsTransport::hand_over(Io& io, std::size_t before) {
    auto secrets = std::exchange(secrets_, nullptr);
    EVP_CIPHER const* cipher = nullptr;
    auto const* suite = SSL_get_current_cipher(ssl_.get());
    if (SSL_version(ssl_.get()) == TLS1_3_VERSION) {
        int kind = SSL_CIPHER_get_cipher_nid(suite);
        if (kind == NID_aes_128_gcm) cipher = EVP_aes_128_gcm();
        if (kind == NID_aes_256_gcm) cipher = EVP_aes_256_gcm();
        if (kind == NID_chacha20_poly1305) cipher = EVP_chacha20_poly1305();
    }
    if (cipher != nullptr && !secrets->client.empty() && !secrets->server.empty() &&
        SSL_has_pending(ssl_.get()) == 0) {
        // What the last step has put out are the tickets.
        std::uint64_t records = 0;
        for (auto at = before; at + TlsRecords::kHeaderSize <= io.output.size(); ++records) {
            at += TlsRecords::kHeaderSize + (std::to_integer<std::size_t>(io.output[at + 3]) << 8 |
                                             std::to_integer<std::size_t>(io.output[at + 4]));
        }
        records_ = std::make_unique<TlsRecords>(
            TlsRecords::Agreed{cipher, SSL_CIPHER_get_handshake_digest(suite), secrets->client,
                               secrets->server, records});
        ssl_.reset();
    }
    OPENSSL_cleanse(secrets->client.data(), secrets->client.size());
    OPENSSL_cleanse(secrets->server.data(), secrets->server.size());
}

std::string TlsTransport::handshake_error() const {
    auto why = take_tls_error();
    auto verified = SSL_get_verify_result(ssl_.get());
    if (verified == X509_V_OK) return why;
    return fmt::format("{} ({})", why, X509_verify_cert_error_string(verified));
}

std::string TlsTransport::check_peer() {
    if (auto psk = psk_identity(ssl_.get()); !psk.empty()) {
        identity_ = std::make_unique<std::string>(std::move(psk));
        return {};
    }
    auto* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return {};
    // A resumed session was verified when it began, which may be long ago.
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        return "the client's certificate has expired";
    }
    auto kind = context_.settings().identity;
    if (kind == TlsSettings::Identity::none) return {};
    auto name = identity_of(certificate, kind);
    if (!name) return "the client's certificate has no name to be the user's";
    identity_ = std::make_unique<std::string>(std::move(*name));
    return {};
}

void TlsTransport::log_opened() const {
    auto const* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    spdlog::debug("{}: {} {}{}, server name '{}', identity '{}'", peer(),
                  SSL_get_version(ssl_.get()), SSL_get_cipher_name(ssl_.get()),
                  SSL_session_reused(ssl_.get()) == 1 ? " resumed" : "",
                  escaped(name != nullptr ? name : ""), escaped(identity_ ? *identity_ : ""));
}

IoResult::Status TlsTransport::give_up(std::string why) noexcept {
    ERR_clear_error();
    failure_ = std::make_unique<std::string>(why.empty() ? "broken TLS" : std::move(why));
    return IoResult::Status::failed;
}

std::string TlsTransport::failure() const {
    return failure_ ? *failure_ : below_->failure();
}

std::unique_ptr<std::string> TlsTransport::take_identity() {
    return identity_ ? std::move(identity_) : below_->take_identity();
}

// --- writing ---

IoResult TlsTransport::write_some(std::span<iovec const> pieces) noexcept {
    if (failure_ || ends_ || below_closed_) return {IoResult::Status::closed, 0};
    auto& shared = io();
    shared.output.clear();
    if (!unsent_.empty() && !held_back_ && !flush(shared)) {
        update_flags();
        return {below_closed_ ? IoResult::Status::closed : IoResult::Status::would_block, 0};
    }
    shared.is_sent = false;
    std::size_t size = 0;
    std::size_t offset = 0;  // into the first piece
    while (!pieces.empty()) {
        std::size_t more = encrypt(pieces, offset);
        if (more == 0) {
            give_up(take_tls_error());
            return {IoResult::Status::failed, 0};
        }
        size += more;
        if (shared.output.size() >= kBatch && !flush(shared)) break;
    }
    flush(shared);
    update_flags();
    // The peer may have got any of it, or it is certain that it has none.
    if (below_closed_) return {IoResult::Status::closed, shared.is_sent ? size : 0};
    return {IoResult::Status::done, size};
}

/// One record of the next pieces.
std::size_t TlsTransport::encrypt(std::span<iovec const>& pieces, std::size_t& offset) noexcept {
    std::byte const* from = nullptr;
    std::size_t size = next_record(pieces, offset, from);
    if (records_) {
        Bytes const plain{from, size};
        records_->seal({&plain, 1}, io().output);
        return size;
    }
    std::size_t written = 0;
    if (SSL_write_ex(ssl_.get(), from, size, &written) != 1 || written != size) return 0;
    return size;
}

std::size_t TlsTransport::next_record(std::span<iovec const>& pieces, std::size_t& offset,
                                      std::byte const*& from) noexcept {
    auto& record = io().record;
    from = static_cast<std::byte const*>(pieces[0].iov_base) + offset;
    std::size_t size = std::min(pieces[0].iov_len - offset, kRecordMax);
    bool alone = size == kRecordMax || pieces.size() == 1;
    if (alone) {
        offset += size;
    } else {
        std::size_t used = 0;
        while (!pieces.empty() && used < kRecordMax) {
            auto const* piece = static_cast<std::byte const*>(pieces[0].iov_base) + offset;
            std::size_t part = std::min(pieces[0].iov_len - offset, kRecordMax - used);
            std::memcpy(record.data() + used, piece, part);
            used += part;
            offset += part;
            if (offset < pieces[0].iov_len) break;
            pieces = pieces.subspan(1);
            offset = 0;
        }
        from = record.data();
        size = used;
    }
    if (alone && offset == pieces[0].iov_len) {
        pieces = pieces.subspan(1);
        offset = 0;
    }
    return size;
}

bool TlsTransport::flush(Io& io) noexcept {
    held_back_ = false;
    if (!unsent_.empty()) {
        // Behind what waits: the order is what the peer's records are counted by.
        unsent_.insert(unsent_.end(), io.output.begin(), io.output.end());
        io.output.clear();
    }
    auto& bytes = unsent_.empty() ? io.output : unsent_;
    std::size_t sent = 0;
    bool waits = false;
    while (sent < bytes.size() && !below_closed_ && !waits) {
        iovec piece{bytes.data() + sent, bytes.size() - sent};
        auto result = below_->write_some({&piece, 1});
        below_closed_ =
            result.status == IoResult::Status::closed || result.status == IoResult::Status::failed;
        waits = result.size < piece.iov_len;
        sent += result.size;
        io.is_sent = io.is_sent || result.size > 0;
    }
    if (&bytes == &unsent_) {
        unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(sent));
        if (unsent_.empty()) Buffer{}.swap(unsent_);
    } else {
        if (waits && !below_closed_) {
            unsent_.assign(io.output.begin() + static_cast<std::ptrdiff_t>(sent), io.output.end());
        }
        io.output.clear();
    }
    return unsent_.empty() && !below_closed_;
}

void TlsTransport::shut_down_write() noexcept {
    if (ends_) return;
    auto& shared = io();
    shared.output.clear();
    if (is_open() && !failure_) {  // the peer's close_notify is not waited for
        if (records_) {
            records_->seal_alert(TlsRecords::Alert::close_notify, shared.output);
        } else {
            SSL_shutdown(ssl_.get());
            ERR_clear_error();
        }
    }
    ends_ = true;
    ssl_.reset();
    records_.reset();
    Buffer{}.swap(unread_);
    Buffer{}.swap(plain_);
    on_writable();
}

void TlsTransport::on_writable() noexcept {
    if (below_->wants_write()) below_->on_writable();
    bool all_sent = flush(io());
    if (ends_ && all_sent && !below_ended_) {
        below_ended_ = true;
        below_->shut_down_write();
    }
    update_flags();
}

}  // namespace spoke::broker
