#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace spoke::broker {

/// What a file says of each of its users.
template <class Value>
class UserTable {
public:
    /// False: the user is there already.
    [[nodiscard]] bool add(std::string_view user, Value value) {
        if (!places_.emplace(user, values_.size()).second) return false;
        values_.push_back(std::move(value));
        return true;
    }

    /// nullptr if the user is not there.
    [[nodiscard]] Value const* find(std::string_view user) const {
        auto found = places_.find(user);
        return found == places_.end() ? nullptr : &values_[found->second];
    }

    /// What to take in place of a user that is not there, so that nobody can tell by what an answer
    /// costs or looks like: the value of some user, for one name always the same. nullptr if there
    /// are none.
    [[nodiscard]] Value const* stand_in(std::string_view user) const {
        if (values_.empty()) return nullptr;
        return &values_[std::hash<std::string_view>{}(user) % values_.size()];
    }

    [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }

private:
    struct NameHash {
        using is_transparent =
            void;  // NOLINT(readability-identifier-naming): the standard names it
        std::size_t operator()(std::string_view name) const noexcept {
            return std::hash<std::string_view>{}(name);
        }
    };

    std::unordered_map<std::string, std::size_t, NameHash, std::equal_to<>> places_;
    std::vector<Value> values_;  // in the order of the file
};

}  // namespace spoke::broker
