#include "broker/auth/file_authenticator.hpp"

#include <openssl/crypto.h>

#include <string>
#include <utility>

#include "broker/auth/random_bytes.hpp"
#include "broker/auth/scram.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/base/base64.hpp"

namespace spoke::broker {
namespace {

using mqtt::ReasonCode;

constexpr std::size_t kNonceBytes = 18;

class ScramAuthExchange final : public AuthExchange {
public:
    explicit ScramAuthExchange(std::shared_ptr<ScramFile const> users)
        : exchange_(std::move(users), to_base64(random_bytes(kNonceBytes))) {}

    Step step(Bytes data) override {
        auto step = exchange_.step(as_text(data));
        return {kind_of(step.verdict), to_buffer(step.data), std::string{step.reason}};
    }

    std::string const& user_name() const override { return exchange_.user(); }

private:
    static Step::Kind kind_of(ScramExchange::Verdict verdict) noexcept {
        switch (verdict) {
            case ScramExchange::Verdict::proceed:
                return Step::Kind::go_on;
            case ScramExchange::Verdict::accepted:
                return Step::Kind::accepted;
            case ScramExchange::Verdict::refused:
                return Step::Kind::refused;
        }
        return Step::Kind::refused;
    }

    ScramExchange exchange_;
};

/// The password as a Secret; what it was in is wiped.
Secret take_secret(Buffer& password) {
    Secret secret{as_text(password)};
    OPENSSL_cleanse(password.data(), password.size());
    return secret;
}

}  // namespace

FileAuthenticator::FileAuthenticator(Sources const& sources) : sources_(sources) {
    MQ_ASSERT(!sources_.passwords || sources_.pool);
}

std::optional<AuthVerdict> FileAuthenticator::authenticate(Credentials credentials, Done done) {
    auto& [client_id, user_name, password, shown_by_transport] = credentials;
    if (shown_by_transport) return ReasonCode::success;
    if (!user_name && !password)
        return sources_.allow_anonymous ? ReasonCode::success : ReasonCode::not_authorized;
    if (!user_name || !password || !sources_.passwords)
        return ReasonCode::bad_user_name_or_password;
    auto tell = [done = std::move(done)](bool accepted) {
        done(accepted ? ReasonCode::success : ReasonCode::bad_user_name_or_password);
    };
    auto is_taken = sources_.pool->check(sources_.passwords->snapshot(), std::move(*user_name),
                                         take_secret(*password), std::move(tell));
    if (!is_taken) return ReasonCode::server_busy;
    return std::nullopt;
}

std::unique_ptr<AuthExchange> FileAuthenticator::begin(std::string_view method) {
    if (!sources_.scram || method != kScramMethod) return nullptr;
    return std::make_unique<ScramAuthExchange>(sources_.scram->snapshot());
}

}  // namespace spoke::broker
