#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace spoke::options {

/// A configuration that cannot be used. `what()` is one line: file, line, key, what is wrong.
struct OptionError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What a configuration file may hold for one option.
using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

/// Smallest and largest value; `word` is what a user may write instead of the number `word_value`,
/// such as "never", which then need not lie inside the range.
template <class T>
struct Range {
    T min{};
    T max{};
    std::string_view word{};
    T word_value{};
};

/// One option. `set` returns what is wrong with the value, or nothing.
struct Row {
    std::string key;            // whole path: "limits.packet_size_max"
    std::string unit;           // "bytes", "time", "true or false", ...
    std::string range;          // "1 .. 65535"; empty: anything
    std::string meaning;        // one or more sentences
    std::string default_value;  // as TOML
    std::function<std::string()> print;
    std::function<std::string(Value const&)> set;
};

/// Every option of one program, each row bound to the member of a plain struct which it fills. What
/// the members hold when they are added is the default. The one table drives reading, errors,
/// `--print-config` and the documentation.
/// The structs bound to a table must outlive it and stay where they are.
class OptionTable {
public:
    /// Starts `[name]`: the rows added from here on belong to it.
    OptionTable& section(std::string_view name, std::string_view meaning);

    OptionTable& text(std::string_view key, std::string& target, std::string_view meaning);
    OptionTable& texts(std::string_view key, std::vector<std::string>& target,
                       std::string_view meaning);
    OptionTable& flag(std::string_view key, bool& target, std::string_view meaning);

    /// `unit` says what is counted: "messages", "threads".
    template <std::integral T>
    OptionTable& number(std::string_view key, T& target, Range<std::type_identity_t<T>> range,
                        std::string_view unit, std::string_view meaning) {
        return add_number(key, binding_of(target), widen(range), {Scale::count, unit}, meaning);
    }

    /// Written as a number of bytes or as text: "64 KiB", "1 MiB".
    template <std::unsigned_integral T>
    OptionTable& bytes(std::string_view key, T& target, Range<std::type_identity_t<T>> range,
                       std::string_view meaning) {
        return add_number(key, binding_of(target), widen(range), {Scale::bytes, "bytes"}, meaning);
    }

    /// Written as text with its unit: "500 ms", "10 s", "5 min", "2 h", "7 d". A time finer than
    /// the unit of `target` is refused.
    template <class Rep, class Period>
    OptionTable& duration(std::string_view key, std::chrono::duration<Rep, Period>& target,
                          Range<std::type_identity_t<std::chrono::duration<Rep, Period>>> range,
                          std::string_view meaning) {
        using Duration = std::chrono::duration<Rep, Period>;
        using std::chrono::microseconds;
        constexpr auto kStep = microseconds{Duration{1}}.count();
        auto in_us = [](Duration d) {
            return static_cast<std::int64_t>(std::chrono::duration_cast<microseconds>(d).count());
        };
        Binding binding{[&target, in_us] { return in_us(target); },
                        [&target](std::int64_t us) {
                            target = std::chrono::duration_cast<Duration>(microseconds{us});
                        },
                        kStep};
        Range<std::int64_t> wide{in_us(range.min), in_us(range.max), range.word,
                                 in_us(range.word_value)};
        return add_number(key, std::move(binding), wide, {Scale::time, "time"}, meaning);
    }

    /// One of a few words, each standing for an enumerator.
    template <class Enum>
    OptionTable& choice(std::string_view key, Enum& target,
                        std::vector<std::pair<std::string_view, std::type_identity_t<Enum>>> words,
                        std::string_view meaning) {
        std::vector<std::string_view> names;
        for (auto const& word : words) names.push_back(word.first);
        auto index_now = [&target, words] {
            std::size_t i = 0;
            while (i + 1 < words.size() && words[i].second != target) ++i;
            return i;
        };
        auto set_index = [&target, words](std::size_t i) { target = words[i].second; };
        return add_choice(key, std::move(names), index_now, set_index, meaning);
    }

    /// The row added last may also be "inherit", which is its default: `own` says whether it has a
    /// value of its own, else the user of the struct takes that of another option.
    OptionTable& may_inherit(bool& own);

    /// `[[name]]`, any number of times. A file that has one replaces all the defaults in `target`;
    /// `bind` adds the rows of one item.
    template <class Item>
    OptionTable& tables(std::string_view name, std::vector<Item>& target,
                        void (*bind)(OptionTable&, std::type_identity_t<Item>&),
                        std::string_view meaning) {
        TableRow row;
        row.clear = [&target] { target.clear(); };
        row.append = [&target, bind](OptionTable& rows) { bind(rows, target.emplace_back()); };
        row.size = [&target] { return target.size(); };
        row.bind_at = [&target, bind](std::size_t i, OptionTable& rows) { bind(rows, target[i]); };
        row.with_sample = [bind](std::function<void(OptionTable const&)> const& visit) {
            Item sample{};
            OptionTable rows;
            bind(rows, sample);
            visit(rows);
        };
        return add_tables(name, std::move(row), meaning);
    }

    /// Reads a TOML file into the bound members.
    /// Errors  OptionError for a file that cannot be read, is not TOML, or holds an unknown key, a
    ///         wrong type or a value out of range; the members read before it stay changed.
    void load_file(std::string const& path);

    /// The same for text in memory; `name` stands for the file in errors.
    void load_text(std::string_view toml, std::string_view name);

    /// Every option with its default, unit, range and meaning as comments and the value it has
    /// now: a TOML file that loads again.
    [[nodiscard]] std::string print() const;

    [[nodiscard]] std::vector<Row> const& rows() const { return rows_; }

private:
    enum class Scale { count, bytes, time };

    struct Unit {
        Scale scale;
        std::string_view name;
    };

    struct Binding {
        std::function<std::int64_t()> read;
        std::function<void(std::int64_t)> write;
        std::int64_t step = 1;  // only multiples of it can be held
    };

    struct TableRow {
        std::string name;
        std::string meaning;
        std::function<void()> clear;
        std::function<void(OptionTable&)> append;
        std::function<std::size_t()> size;
        std::function<void(std::size_t, OptionTable&)> bind_at;
        std::function<void(std::function<void(OptionTable const&)> const&)> with_sample;
    };

    struct Section {
        std::string name;
        std::string meaning;
    };

    class Loader;
    struct Notation;

    template <std::integral T>
    static Binding binding_of(T& target) {
        return {[&target] { return static_cast<std::int64_t>(target); },
                [&target](std::int64_t v) { target = static_cast<T>(v); }};
    }

    template <std::integral T>
    static Range<std::int64_t> widen(Range<T> range) {
        auto wide = [](T v) {
            if (std::cmp_greater(v, std::numeric_limits<std::int64_t>::max()))
                return std::numeric_limits<std::int64_t>::max();
            return static_cast<std::int64_t>(v);
        };
        return {wide(range.min), wide(range.max), range.word, wide(range.word_value)};
    }

    OptionTable& add_row(std::string_view key, Row row, std::string_view meaning);
    OptionTable& add_number(std::string_view key, Binding binding, Range<std::int64_t> range,
                            Unit unit, std::string_view meaning);
    OptionTable& add_choice(std::string_view key, std::vector<std::string_view> names,
                            std::function<std::size_t()> index_now,
                            std::function<void(std::size_t)> set_index, std::string_view meaning);
    OptionTable& add_tables(std::string_view name, TableRow row, std::string_view meaning);

    void print_rows(std::string& out, std::string_view section, OptionTable const* documented,
                    std::string_view prefix) const;
    void print_tables(std::string& out) const;

    std::vector<Row> rows_;
    std::vector<TableRow> tables_;
    std::vector<Section> sections_;
    std::string prefix_;  // of the rows being added: "limits."
};

}  // namespace spoke::options
