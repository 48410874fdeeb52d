#include "calibrate/alike.h"

#include "calibrate/identity.h"
#include "calibrate/messages.h"
#include "core/error.h"

namespace assay::calibrate {

void check_alike(cluster::Communicator& communicator, const gguf::File& file,
                 const backend::Backend& backend) {
    Identity own = identity_of_model(file);
    own.push_back({"the arithmetic", backend.arithmetic()});
    std::vector<std::byte> bytes;
    if (communicator.rank() == 0) {
        ByteWriter out;
        for (const IdentityItem& item : own) write_text(out, item.value);
        bytes = out.bytes();
    }
    communicator.broadcast(bytes);
    ByteReader in(bytes, "rank 0");
    for (const IdentityItem& item : own)
        if (const std::string first = read_text(in, item.name); first != item.value)
            throw_error(ErrorKind::Usage, file.where(),
                        "{} is {} here and {} on rank 0; all ranks need the same model, and compute alike "
                        "(--device, --precision, --isa)",
                        item.name, item.value, first);
}

}  // namespace assay::calibrate
