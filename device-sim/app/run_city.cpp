#include "device-sim/app/run_city.hpp"

#include <memory>
#include <utility>

namespace spoke::sim {
namespace {

class PlayedCity final : public JudgedPlay {
public:
    PlayedCity(boost::asio::io_context& context, CityOptions const& options, City::Say say)
        : city_(context, options, std::move(say)) {}

    void start(std::function<void()> done) override { city_.start(std::move(done)); }
    void end_early() override { city_.end_early(); }

    Line line() override {
        auto look = city_.look();
        return {city_line(look), city_json(look)};
    }

    Verdict verdict() override {
        auto look = city_.look();
        auto facts = city_.facts();
        return {city_verdict(look, facts), city_summary(look, facts), city_junit(look, facts),
                facts.end};
    }

private:
    City city_;
};

}  // namespace

int run_city(CityRunOptions const& options) {
    require_open_files("city", options.city.fleet.bikes + options.city.rider_count);
    return run_judged(options.report, options.city.seed, [&](auto& context, auto say) {
        return std::make_unique<PlayedCity>(context, options.city, std::move(say));
    });
}

}  // namespace spoke::sim
