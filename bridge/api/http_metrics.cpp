#include "bridge/api/http_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace spoke::bridge {

void HttpMetrics::add(unsigned status, std::chrono::nanoseconds took) {
    ++by_class_[std::min<std::size_t>(status / 100, by_class_.size() - 1)];
    auto place = std::ranges::find_if(
        kBounds, [took](auto bound) { return took <= std::chrono::milliseconds{bound}; });
    ++by_time_[static_cast<std::size_t>(place - kBounds.begin())];
    sum_ += took;
}

void HttpMetrics::append_to(std::string& out) const {
    auto to = std::back_inserter(out);
    fmt::format_to(to,
                   "# HELP spoke_bridge_http_responses_total Responses by class of status.\n"
                   "# TYPE spoke_bridge_http_responses_total counter\n");
    for (std::size_t i = 2; i < by_class_.size(); ++i) {
        fmt::format_to(to, "spoke_bridge_http_responses_total{{class=\"{}xx\"}} {}\n", i,
                       by_class_[i]);
    }
    fmt::format_to(to,
                   "# HELP spoke_bridge_http_unauthorized_total Requests without good "
                   "credentials.\n"
                   "# TYPE spoke_bridge_http_unauthorized_total counter\n"
                   "spoke_bridge_http_unauthorized_total {}\n"
                   "# HELP spoke_bridge_http_seconds From the whole request to its response, the "
                   "time it was held included.\n"
                   "# TYPE spoke_bridge_http_seconds histogram\n",
                   unauthorized_);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
        count += by_time_[i];
        fmt::format_to(to, "spoke_bridge_http_seconds_bucket{{le=\"{}\"}} {}\n",
                       kBounds[i] / 1'000.0, count);
    }
    count += by_time_.back();
    fmt::format_to(to,
                   "spoke_bridge_http_seconds_bucket{{le=\"+Inf\"}} {}\n"
                   "spoke_bridge_http_seconds_sum {}\n"
                   "spoke_bridge_http_seconds_count {}\n",
                   count, std::chrono::duration<double>(sum_).count(), count);
}

}  // namespace spoke::bridge
