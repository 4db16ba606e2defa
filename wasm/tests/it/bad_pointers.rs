//! Pointers, lengths and handles that the host invents: an error, and nothing changes.

use stream_processor_core::wire;
use stream_processor_wasm::abi;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{SPEC, batch, block, error, memory_len, open, unpack, view};

const FAILED: i64 = -1;

fn assert_malformed(result: i64) {
    assert_eq!(result, FAILED);
    assert_eq!(error(), "malformed_block");
}

#[wasm_bindgen_test]
fn pointer_that_is_no_block_is_refused() {
    let handle = open(SPEC);
    let (address, len) = block(&batch(&[0, 1]));
    let freed = abi::sp_alloc(64);
    abi::sp_free(freed);
    let invented = [0, 1, address + 8, address - 64, freed, memory_len(), u32::MAX];
    for pointer in invented {
        assert_malformed(abi::sp_push(handle, pointer, len));
        assert_malformed(abi::sp_define_keys(handle, pointer, len).into());
        assert_malformed(abi::sp_restore(handle, pointer, len, 1).into());
        assert_malformed(abi::sp_merge(handle, pointer, len).into());
        assert_malformed(abi::sp_open(pointer, len, 0, 0).into());
        assert_eq!(abi::sp_partial(handle, pointer, len), 0);
        assert_eq!(abi::sp_identify(pointer, len, address, len), 0);
    }
    // The block itself is still read, and each event once.
    assert_eq!(abi::sp_push(handle, address, len), 2);
    abi::sp_free(address);
    abi::sp_close(handle);
}

#[wasm_bindgen_test]
fn length_beyond_the_block_is_refused() {
    let handle = open(SPEC);
    let (address, len) = block(&batch(&[0, 1]));
    for longer in [len + 128, memory_len(), u32::MAX] {
        assert_malformed(abi::sp_push(handle, address, longer));
    }
    for shorter in 0..len {
        assert_eq!(abi::sp_push(handle, address, shorter), FAILED);
    }
    assert_eq!(abi::sp_push(handle, address, len), 2);
    abi::sp_free(address);
    abi::sp_close(handle);
}

#[wasm_bindgen_test]
fn handle_that_is_not_open_is_refused() {
    let closed = open(SPEC);
    assert_eq!(abi::sp_close(closed), 0);
    let (address, len) = block(&batch(&[0]));
    for handle in [0, -1, closed, i32::MAX, i32::MIN] {
        assert_malformed(abi::sp_push(handle, address, len));
        assert_malformed(abi::sp_finish(handle).into());
        assert_malformed(abi::sp_snapshot(handle).into());
        assert_malformed(abi::sp_close(handle).into());
        assert_eq!(abi::sp_poll(handle, 10), 0);
        assert_eq!(abi::sp_stats(handle), 0);
    }
    abi::sp_free(address);
}

#[wasm_bindgen_test]
fn freeing_an_invented_pointer_keeps_all_blocks() {
    let handle = open(SPEC);
    let (address, len) = block(&batch(&[0]));
    for pointer in [0, 8, address + 64, address - 8, u32::MAX] {
        abi::sp_free(pointer);
    }
    assert_eq!(abi::sp_push(handle, address, len), 1);
    abi::sp_free(address);
    assert_malformed(abi::sp_push(handle, address, len));
    abi::sp_close(handle);
}

#[wasm_bindgen_test]
fn every_damaged_byte_of_a_block_is_an_error_or_an_event() {
    let bytes = batch(&[0, 1_000_000]);
    let (address, len) = block(&bytes);
    for at in 0..len {
        let handle = open(SPEC);
        let index = usize::try_from(at).unwrap();
        view(address, len).set_index(at, bytes[index] ^ 0xff);
        let pushed = abi::sp_push(handle, address, len);
        assert!(pushed == FAILED || pushed == 2, "byte {at}: {pushed}");
        view(address, len).set_index(at, bytes[index]);
        assert_eq!(abi::sp_finish(handle), 0);
        abi::sp_close(handle);
    }
    abi::sp_free(address);
}

#[wasm_bindgen_test]
fn allocation_beyond_memory_is_0_and_the_module_goes_on_working() {
    assert_eq!(abi::sp_alloc(u32::MAX), 0);
    let handle = open(SPEC);
    let (address, len) = block(&batch(&[5]));
    assert_eq!(abi::sp_push(handle, address, len), 1);
    assert_eq!(abi::sp_finish(handle), 0);
    let rows = unpack(abi::sp_poll(handle, 10));
    assert_eq!(wire::decode_rows(&rows).unwrap().len(), 1);
    abi::sp_free(address);
    abi::sp_close(handle);
}
