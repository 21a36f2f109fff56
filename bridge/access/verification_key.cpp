#include "bridge/access/verification_key.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "bridge/access/encoding.hpp"

namespace spoke::bridge {
namespace {

template <auto free_function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};
using BigNumber = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ParamBuilder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

constexpr std::size_t kCoordinateBytes = 32;  // of P-256
constexpr int kRsaBitsMin = 2048;

unsigned char const* raw(std::string_view bytes) noexcept {
    return reinterpret_cast<unsigned char const*>(bytes.data());
}

BigNumber big_number(std::string_view bytes) {
    return BigNumber{BN_bin2bn(raw(bytes), static_cast<int>(bytes.size()), nullptr)};
}

/// A public key of `type`; null if the numbers are none.
std::shared_ptr<EVP_PKEY> make_key(char const* type, OSSL_PARAM_BLD* builder) {
    Params params{OSSL_PARAM_BLD_to_param(builder)};
    KeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
    EVP_PKEY* key = nullptr;
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
        ERR_clear_error();
        return nullptr;
    }
    std::shared_ptr<EVP_PKEY> owned{key, EVP_PKEY_free};
    KeyContext check{EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr)};
    if (!check || EVP_PKEY_public_check(check.get()) != 1) {
        ERR_clear_error();
        return nullptr;
    }
    return owned;
}

/// r and s side by side (RFC 7518, 3.4) as the DER that OpenSSL reads; empty if they are none.
std::string to_der(std::string_view signature) {
    if (signature.size() != 2 * kCoordinateBytes) return {};
    auto r = big_number(signature.substr(0, kCoordinateBytes));
    auto s = big_number(signature.substr(kCoordinateBytes));
    EcdsaSignature both{ECDSA_SIG_new()};
    if (!r || !s || !both || ECDSA_SIG_set0(both.get(), r.get(), s.get()) != 1) return {};
    static_cast<void>(r.release());
    static_cast<void>(s.release());
    unsigned char* der = nullptr;
    auto size = i2d_ECDSA_SIG(both.get(), &der);
    if (size <= 0) return {};
    std::string out{reinterpret_cast<char const*>(der), static_cast<std::size_t>(size)};
    OPENSSL_free(der);
    return out;
}

bool verify_with(EVP_PKEY* key, std::string_view text, std::string_view signature) {
    DigestContext context{EVP_MD_CTX_new()};
    auto is_good =
        context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
        EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(text), text.size()) ==
            1;
    ERR_clear_error();
    return is_good;
}

}  // namespace

std::string_view name_of(Algorithm algorithm) noexcept {
    switch (algorithm) {
        case Algorithm::hs256:
            return "HS256";
        case Algorithm::rs256:
            return "RS256";
        case Algorithm::es256:
            return "ES256";
    }
    return {};
}

VerificationKey VerificationKey::hs256(std::string secret, Label label) {
    if (secret.size() < 32) throw std::invalid_argument{"a secret has fewer than 32 bytes"};
    VerificationKey out{Algorithm::hs256, std::move(label)};
    out.secret_ = std::move(secret);
    return out;
}

VerificationKey VerificationKey::rs256(std::string const& n, std::string const& e, Label label) {
    VerificationKey out{Algorithm::rs256, std::move(label)};
    auto modulus = big_number(n);
    auto exponent = big_number(e);
    ParamBuilder builder{OSSL_PARAM_BLD_new()};
    if (modulus && exponent && builder &&
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) == 1) {
        out.key_ = make_key("RSA", builder.get());
    }
    if (!out.key_) throw std::invalid_argument{"an RSA key is damaged"};
    if (EVP_PKEY_get_bits(out.key_.get()) < kRsaBitsMin) {
        throw std::invalid_argument{"an RSA key has fewer than 2048 bits"};
    }
    return out;
}

VerificationKey VerificationKey::es256(std::string const& x, std::string const& y, Label label) {
    VerificationKey out{Algorithm::es256, std::move(label)};
    ParamBuilder builder{OSSL_PARAM_BLD_new()};
    auto point = "\x04" + x + y;  // uncompressed
    if (x.size() == kCoordinateBytes && y.size() == kCoordinateBytes && builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1",
                                        0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) == 1) {
        out.key_ = make_key("EC", builder.get());
    }
    if (!out.key_) throw std::invalid_argument{"an EC key is damaged"};
    return out;
}

bool VerificationKey::verifies(std::string_view text, std::string_view signature) const {
    switch (algorithm_) {
        case Algorithm::hs256:
            return equal_in_constant_time(bytes_of(hmac_sha256(secret_, text)), signature);
        case Algorithm::rs256:
            return verify_with(key_.get(), text, signature);
        case Algorithm::es256: {
            auto der = to_der(signature);
            return !der.empty() && verify_with(key_.get(), text, der);
        }
    }
    return false;
}

}  // namespace spoke::bridge
