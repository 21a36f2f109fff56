#include "bridge/event/log_reader.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace spoke::bridge {

LogReader::LogReader(EventLog& log, std::vector<std::string> filters, std::uint64_t after,
                     std::function<void()> wake, std::optional<std::uint64_t> known_removed)
    : log_(log),
      filters_(std::move(filters)),
      wake_(std::move(wake)),
      position_(after),
      removed_upto_(known_removed.value_or(after == 0 ? log.removed_upto(filters_) : 0)) {
    log_.follow(filters_, *this);
}

LogReader::~LogReader() {
    log_.unfollow(filters_, *this);
}

LogReader::Taken LogReader::take(std::size_t max) {
    is_woken_ = false;
    if (is_live_ && waiting_.size() <= max) {
        if (!waiting_.empty()) position_ = waiting_.back()->offset();
        return {std::exchange(waiting_, {}), true};
    }
    if (is_live_) {
        auto middle = waiting_.begin() + static_cast<std::ptrdiff_t>(max);
        Taken out{{std::make_move_iterator(waiting_.begin()), std::make_move_iterator(middle)}};
        waiting_.erase(waiting_.begin(), middle);
        position_ = out.events.back()->offset();
        return out;
    }
    auto page = log_.read(position_, filters_, max);
    auto has_lost = page.removed_upto > std::max(position_, removed_upto_);
    removed_upto_ = std::max(removed_upto_, page.removed_upto);
    position_ = page.position;
    is_live_ = page.is_end;
    return {std::move(page.events), page.is_end, has_lost, page.is_stuck};
}

std::uint64_t LogReader::position() const noexcept {
    return is_live_ && waiting_.empty() ? log_.head_offset() : position_;
}

void LogReader::on_event(SharedEvent const& event) {
    if (is_live_ && waiting_.size() < kWaitingMax) {
        waiting_.push_back(event);
    } else {
        // Read again from the log when its turn comes: nothing is kept for a slow taker.
        is_live_ = false;
        waiting_ = {};
    }
    if (!std::exchange(is_woken_, true)) wake_();
}

}  // namespace spoke::bridge
