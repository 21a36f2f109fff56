#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device-sim/watch/forgotten_topic.hpp"
#include "device-sim/watch/inbox_owner.hpp"
#include "device-sim/watch/watch_reader.hpp"
#include "device-sim/watch/watch_writer.hpp"

namespace spoke::sim {

/// Who writes and who reads, and what befalls the readers.
struct CastOptions {
    ReadingOptions reading{};
    WatchFaultPlan faults{};
    ReaderFlaw flaw = ReaderFlaw::none;  // of the first reader
    std::string forgets{};  // a topic of which the bridge keeps few events; empty: there is none
    std::size_t readers_per_way = 3;
    std::size_t writers = 10;
    double events_per_s = 50;
    std::size_t tables = 4;
    std::size_t bikes = 4;
    std::size_t inboxes = 3;
    std::uint64_t seed = 1;
};

/// Readers, writers and owners of inboxes of one run, which all have its name in theirs.
/// Thread  the one that runs the io_context.
class WatchCast {
public:
    /// Whatever any of them reads is below these.
    [[nodiscard]] static std::vector<std::string> all_filters();

    /// `context` and `judge` outlive it.
    WatchCast(boost::asio::io_context& context, CastOptions options, WatchJudge& judge);

    /// All begin: readers at this place.
    void start(Place const& start);

    /// Nothing befalls anybody any more, and nothing more is written; `on_written` is called when
    /// the last write of a writer has come to its end.
    void calm(std::function<void()> on_written);

    /// The owners look once more; `done` once all were told.
    void look_at_inboxes(std::function<void()> done);
    void stop();

    [[nodiscard]] ReadingOptions const& reading() const noexcept { return options_.reading; }
    [[nodiscard]] ReaderTally const& reader_tally() const noexcept { return reader_tally_; }
    [[nodiscard]] WriterTally const& writer_tally() const noexcept { return writer_tally_; }
    [[nodiscard]] std::size_t readers() const noexcept { return readers_.size(); }
    [[nodiscard]] std::size_t writers() const noexcept { return writers_.size(); }
    /// Writers that have not come to their end.
    [[nodiscard]] std::size_t writing() const noexcept { return writing_; }

    /// Why it proves nothing: what was to be played and was not.
    [[nodiscard]] std::vector<std::string> doubts() const;

private:
    void make_readers(Place const& start);
    void make_owners();
    void make_writers();
    [[nodiscard]] std::vector<std::string> filters_of(std::size_t set) const;

    boost::asio::io_context& context_;
    CastOptions options_;
    WatchJudge& judge_;
    std::string run_;  // in the names of all that this run writes
    mqtt::LinkHub hub_;
    Dice dice_;
    ReaderTally reader_tally_{};
    WriterTally writer_tally_{};
    WriterOptions writer_options_{};
    ForgottenTopic forgotten_;
    std::vector<std::string> inboxes_{};
    std::vector<std::unique_ptr<WatchReader>> readers_{};
    std::vector<std::unique_ptr<WatchWriter>> writers_{};
    std::vector<std::unique_ptr<InboxOwner>> owners_{};
    std::size_t writing_ = 0;
    std::size_t looking_ = 0;
};

}  // namespace spoke::sim
