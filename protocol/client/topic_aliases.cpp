#include "protocol/client/topic_aliases.hpp"

#include "protocol/base/assert.hpp"

namespace spoke::mqtt {

void IncomingAliases::begin(std::uint16_t maximum) noexcept {
    topics_ = std::vector<std::string>{};
    maximum_ = maximum;
}

bool IncomingAliases::is_allowed(std::uint16_t alias) const noexcept {
    return alias > 0 && alias <= maximum_;
}

void IncomingAliases::set(std::uint16_t alias, std::string_view topic) {
    MQ_ASSERT(is_allowed(alias));
    if (topics_.size() < alias) topics_.resize(alias);
    topics_[alias - 1U] = topic;
}

std::string_view IncomingAliases::find(std::uint16_t alias) const noexcept {
    MQ_ASSERT(is_allowed(alias));
    return alias <= topics_.size() ? std::string_view{topics_[alias - 1U]} : std::string_view{};
}

namespace {

struct TextHash {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard names it
    std::size_t operator()(std::string_view text) const noexcept {
        return std::hash<std::string_view>{}(text);
    }
};

}  // namespace

struct OutgoingAliases::Table {
    std::unordered_map<std::string, std::uint16_t, TextHash, std::equal_to<>> aliases;
};

void OutgoingAliases::TableDeleter::operator()(Table* table) const noexcept {
    delete table;
}

void OutgoingAliases::begin(std::uint16_t maximum) noexcept {
    table_.reset();
    maximum_ = maximum;
}

std::uint16_t OutgoingAliases::find(std::string_view topic) const noexcept {
    if (!table_) return 0;
    auto found = table_->aliases.find(topic);
    return found == table_->aliases.end() ? std::uint16_t{0} : found->second;
}

std::uint16_t OutgoingAliases::next() const noexcept {
    auto used = table_ ? table_->aliases.size() : 0;
    return used < maximum_ ? static_cast<std::uint16_t>(used + 1) : std::uint16_t{0};
}

void OutgoingAliases::add(std::string_view topic) {
    auto alias = next();
    MQ_ASSERT(alias != 0);
    if (!table_) table_.reset(new Table);
    table_->aliases.emplace(topic, alias);
}

}  // namespace spoke::mqtt
