#include "broker/net/tls_records.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

namespace {

constexpr std::byte kAlert{21};
constexpr std::byte kHandshake{22};
constexpr std::byte kApplicationData{23};
constexpr std::byte kKeyUpdate{24};
/// After so many records the keys are changed: below the 2^24.5 that AES-GCM allows (5.5).
constexpr std::uint64_t kRecordsPerKey = 1U << 24;

struct ContextDeleter {
    void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};

/// One for all connections of a thread: a key is put in faster than the memory for it is worth.
EVP_CIPHER_CTX* shared_context() {
    thread_local std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter> const made{EVP_CIPHER_CTX_new()};
    MQ_ASSERT(made != nullptr);
    return made.get();
}

unsigned char* raw(std::byte* bytes) noexcept {
    return reinterpret_cast<unsigned char*>(bytes);
}

unsigned char const* raw(std::byte const* bytes) noexcept {
    return reinterpret_cast<unsigned char const*>(bytes);
}

void put_header(std::byte* at, std::size_t size) noexcept {
    at[0] = kApplicationData;
    at[1] = std::byte{3};
    at[2] = std::byte{3};
    at[3] = static_cast<std::byte>(size >> 8);
    at[4] = static_cast<std::byte>(size & 0xFF);
}

}  // namespace

TlsRecords::TlsRecords(Agreed const& agreed) : cipher_(agreed.cipher), hash_(agreed.hash) {
    auto size = static_cast<std::size_t>(EVP_MD_get_size(hash_));
    MQ_ASSERT(size <= kHashMax && agreed.client_secret.size() == size &&
              agreed.server_secret.size() == size);
    MQ_ASSERT(static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher_)) <= kKeyMax);
    std::ranges::copy(agreed.client_secret, in_.secret.begin());
    std::ranges::copy(agreed.server_secret, out_.secret.begin());
    derive_keys(in_);
    derive_keys(out_);
    out_.sequence = agreed.records_sent;
}

TlsRecords::~TlsRecords() {
    OPENSSL_cleanse(&in_, sizeof in_);
    OPENSSL_cleanse(&out_, sizeof out_);
}

// --- keys (RFC 8446, 7.1 to 7.3) ---

/// HKDF-Expand-Label with an empty context and no more output than one block.
void TlsRecords::expand(std::span<std::byte const> secret, std::string_view label,
                        std::span<std::byte> into) const {
    constexpr std::string_view kPrefix = "tls13 ";
    std::array<unsigned char, 64> info{};
    std::size_t used = 0;
    info[used++] = 0;
    info[used++] = static_cast<unsigned char>(into.size());
    info[used++] = static_cast<unsigned char>(kPrefix.size() + label.size());
    for (auto part : {kPrefix, label}) {
        std::memcpy(info.data() + used, part.data(), part.size());
        used += part.size();
    }
    info[used++] = 0;  // no context
    info[used++] = 1;  // the first block
    std::array<unsigned char, EVP_MAX_MD_SIZE> block;
    unsigned size = 0;
    auto const* done = HMAC(hash_, secret.data(), static_cast<int>(secret.size()), info.data(),
                            used, block.data(), &size);
    MQ_ASSERT(done != nullptr && into.size() <= size);
    std::memcpy(into.data(), block.data(), into.size());
    OPENSSL_cleanse(block.data(), block.size());
}

void TlsRecords::derive_keys(Direction& direction) const {
    auto secret =
        std::span{direction.secret}.first(static_cast<std::size_t>(EVP_MD_get_size(hash_)));
    auto key_size = static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher_));
    expand(secret, "key", std::span{direction.key}.first(key_size));
    expand(secret, "iv", direction.iv);
    direction.sequence = 0;
}

void TlsRecords::next_secret(Direction& direction) const {
    auto secret =
        std::span{direction.secret}.first(static_cast<std::size_t>(EVP_MD_get_size(hash_)));
    std::array<std::byte, kHashMax> next;
    expand(secret, "traffic upd", std::span{next}.first(secret.size()));
    direction.secret = next;
    OPENSSL_cleanse(next.data(), next.size());
    derive_keys(direction);
}

std::array<std::byte, TlsRecords::kNonceSize> TlsRecords::next_nonce(Direction& direction) {
    auto nonce = direction.iv;
    std::uint64_t number = direction.sequence++;
    for (std::size_t i = 0; i < 8; ++i) {
        nonce[kNonceSize - 1 - i] ^= static_cast<std::byte>((number >> (8 * i)) & 0xFF);
    }
    return nonce;
}

// --- reading ---

TlsRecords::Opened TlsRecords::open(std::span<std::byte> bytes, Buffer& output) {
    Opened opened;
    if (bytes.size() < kHeaderSize) return opened;
    auto size =
        std::to_integer<std::size_t>(bytes[3]) << 8 | std::to_integer<std::size_t>(bytes[4]);
    if (bytes[0] != kApplicationData) {  // all are, outwardly (5.2)
        opened.problem = Alert::unexpected_message;
        return opened;
    }
    if (size > kRecordMax - kHeaderSize) {
        opened.problem = Alert::record_overflow;
        return opened;
    }
    if (size < kTagSize + 1) {
        opened.problem = Alert::bad_record_mac;
        return opened;
    }
    if (bytes.size() < kHeaderSize + size) return opened;
    opened.size = kHeaderSize + size;
    auto body = bytes.subspan(kHeaderSize, size - kTagSize);
    auto* tag = bytes.data() + kHeaderSize + body.size();
    auto nonce = next_nonce(in_);
    auto* context = shared_context();
    int part = 0;
    int rest = 0;
    bool good =
        EVP_DecryptInit_ex(context, cipher_, nullptr, raw(in_.key.data()), raw(nonce.data())) ==
            1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTagSize), tag) == 1 &&
        EVP_DecryptUpdate(context, nullptr, &part, raw(bytes.data()),
                          static_cast<int>(kHeaderSize)) == 1 &&
        EVP_DecryptUpdate(context, raw(body.data()), &part, raw(body.data()),
                          static_cast<int>(body.size())) == 1 &&
        EVP_DecryptFinal_ex(context, raw(body.data()) + part, &rest) == 1;
    if (!good) {
        opened.problem = Alert::bad_record_mac;
        return opened;
    }
    // Behind the content: its type, then padding of zeros (5.4).
    std::size_t end = body.size();
    while (end > 0 && body[end - 1] == std::byte{0}) --end;
    if (end == 0) {
        opened.problem = Alert::unexpected_message;
        return opened;
    }
    auto type = body[end - 1];
    auto content = body.first(end - 1);
    if (content.size() > kPlainMax) {
        opened.problem = Alert::record_overflow;
    } else if (type == kApplicationData) {
        opened.plain = content;
    } else if (type == kAlert) {
        // Whatever it says, nothing comes behind it (6).
        opened.is_end = content.size() == 2;
        if (!opened.is_end) opened.problem = Alert::decode_error;
    } else if (type == kHandshake) {
        return take_handshake(opened, content, output);
    } else {
        opened.problem = Alert::unexpected_message;
    }
    return opened;
}

/// KeyUpdate is all that a client may send after the handshake, and it ends its record, as the keys
/// change behind it (4.6.3, 5.1).
TlsRecords::Opened TlsRecords::take_handshake(Opened opened, std::span<std::byte const> message,
                                              Buffer& output) {
    constexpr std::array kHead{kKeyUpdate, std::byte{0}, std::byte{0}, std::byte{1}};
    if (message.size() != kHead.size() + 1 ||
        !std::equal(kHead.begin(), kHead.end(), message.begin())) {
        opened.problem = Alert::unexpected_message;
        return opened;
    }
    auto request = std::to_integer<unsigned>(message.back());
    if (request > 1) {
        opened.problem = Alert::illegal_parameter;
        return opened;
    }
    next_secret(in_);
    if (request == 1) update_own_keys(output);
    return opened;
}

// --- writing ---

void TlsRecords::update_own_keys(Buffer& output) {
    constexpr std::array kMessage{kKeyUpdate, std::byte{0}, std::byte{0}, std::byte{1},
                                  std::byte{0}};
    Bytes const message{kMessage};
    seal_as(kHandshake, {&message, 1}, output);
    next_secret(out_);
}

void TlsRecords::seal(std::span<Bytes const> plain, Buffer& output) {
    if (out_.sequence >= kRecordsPerKey) update_own_keys(output);
    seal_as(kApplicationData, plain, output);
}

void TlsRecords::seal_alert(Alert alert, Buffer& output) {
    std::array const content{
        std::byte{alert == Alert::close_notify ? std::uint8_t{1} : std::uint8_t{2}},
        static_cast<std::byte>(alert)};
    Bytes const message{content};
    seal_as(kAlert, {&message, 1}, output);
}

void TlsRecords::seal_as(std::byte type, std::span<Bytes const> plain, Buffer& output) {
    std::size_t size = 1;
    for (auto piece : plain) size += piece.size();
    MQ_ASSERT(size <= kPlainMax + 1);
    auto start = output.size();
    output.resize(start + kHeaderSize + size + kTagSize);
    auto* header = output.data() + start;
    put_header(header, size + kTagSize);
    auto nonce = next_nonce(out_);
    auto* context = shared_context();
    int part = 0;
    bool good =
        EVP_EncryptInit_ex(context, cipher_, nullptr, raw(out_.key.data()), raw(nonce.data())) ==
            1 &&
        EVP_EncryptUpdate(context, nullptr, &part, raw(header), static_cast<int>(kHeaderSize)) == 1;
    auto* to = header + kHeaderSize;
    auto add = [&](std::byte const* from, std::size_t count) {
        good = good &&
               EVP_EncryptUpdate(context, raw(to), &part, raw(from), static_cast<int>(count)) == 1;
        to += part;
    };
    for (auto piece : plain) {
        if (!piece.empty()) add(piece.data(), piece.size());
    }
    add(&type, 1);
    good = good && EVP_EncryptFinal_ex(context, raw(to), &part) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kTagSize), to) == 1;
    MQ_ASSERT(good);  // with sizes as these it cannot fail
}

}  // namespace spoke::broker
