#include "device-sim/app/run_watch.hpp"

#include <memory>
#include <utility>

namespace spoke::sim {
namespace {

constexpr std::uint64_t kSocketsOfReader = 5;

class PlayedWatch final : public JudgedPlay {
public:
    PlayedWatch(boost::asio::io_context& context, WatchOptions const& options, Watch::Say say)
        : watch_(context, options, std::move(say)) {}

    void start(std::function<void()> done) override { watch_.start(std::move(done)); }
    void end_early() override { watch_.end_early(); }

    Line line() override {
        auto look = watch_.look();
        return {watch_line(look), watch_json(look)};
    }

    Verdict verdict() override {
        auto look = watch_.look();
        auto facts = watch_.facts();
        return {watch_verdict(look, facts), watch_summary(look, facts), watch_junit(look, facts),
                facts.end};
    }

private:
    Watch watch_;
};

}  // namespace

int run_watch(WatchRunOptions const& options) {
    // Each reader may keep some connections half open.
    auto const& cast = options.watch.cast;
    require_open_files("watch", cast.readers_per_way * kWays.size() * kSocketsOfReader +
                                    cast.writers + cast.inboxes);
    return run_judged(options.report, options.watch.cast.seed, [&](auto& context, auto say) {
        return std::make_unique<PlayedWatch>(context, options.watch, std::move(say));
    });
}

}  // namespace spoke::sim
