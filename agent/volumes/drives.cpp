// Drives that are left alone get one line each, at start and when they are plugged in or change: what they are, and why
// nothing is done. Reads only, and never keeps a drive open.
#include "agent/runtime/log.hpp"
#include "agent/volumes/service_state.hpp"

namespace volcrypt::volumes {

asio::awaitable<void> VolumeService::State::report_present() {
  const auto do_drives = [](Devices& d) { return d.drives(); };
  const std::vector<DriveFacts> all = co_await on_device("udev", "ask udev for drives", look_deadline, do_drives);
  for (const DriveFacts& drive : all) co_await report(drive);
}

asio::awaitable<void> VolumeService::State::report(DriveFacts drive) {
  if (node.cluster.is_nil() || !is_worth_a_look(drive)) {
    reported.erase(drive.number);
    co_return;
  }
  reported.try_emplace(drive.number);  // nothing said yet; it goes with the drive
  boost::system::error_code cause;
  try {
    const auto do_look = [device = drive.device](Devices& d) { (void)d.look(device); };
    co_await on_device(drive.device, "look at " + drive.device, look_deadline, do_look);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    cause = error.code();
  }
  // Pulled during the look: what was found is not said, or it would be taken for said of the drive that comes next.
  const auto said = reported.find(drive.number);
  if (said == reported.end()) co_return;
  const std::optional<DriveReport> now = report_on(drive, cause);
  if (!now) {
    reported.erase(said);
    co_return;
  }
  // udev tells of a change whenever somebody closes the drive; only another finding is news.
  if (std::exchange(said->second, *now) == *now) co_return;
  runtime::log(runtime::Severity::notice, "a drive is left alone",
               {{"device", drive.device}, {"error", now->error}, {"what", now->what}});
}

asio::awaitable<void> VolumeService::drive_appeared(DriveFacts drive) { return state_->report(std::move(drive)); }

}  // namespace volcrypt::volumes
