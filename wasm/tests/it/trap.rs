//! A trap costs one instance: another one of the same module continues from the last snapshot.

use js_sys::{Array, Function, JsString, Object, Reflect, Uint8Array, WebAssembly};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{SPEC, batch, open, parts_of, text_of};

const SECOND: i64 = 1_000_000;

/// A further instance of this module, called through its exports as a host does.
struct Instance {
    exports: Object,
}

impl Instance {
    /// Creates an instance. Its imports do nothing: no path of the C ABI calls one.
    async fn new() -> Self {
        let module: WebAssembly::Module = wasm_bindgen::module().unchecked_into();
        let imports = Object::new();
        for import in WebAssembly::Module::imports(&module).iter() {
            let [from, name] = ["module", "name"].map(|field| property(&import, field));
            if Reflect::get(&imports, &from).unwrap().is_undefined() {
                Reflect::set(&imports, &from, &Object::new()).unwrap();
            }
            let stub = Closure::<dyn FnMut()>::new(|| {}).into_js_value();
            Reflect::set(&Reflect::get(&imports, &from).unwrap(), &name, &stub).unwrap();
        }
        let instance = JsFuture::from(WebAssembly::instantiate_module(&module, &imports)).await;
        Self { exports: property(&instance.unwrap(), "exports").unchecked_into() }
    }

    fn call(&self, name: &str, arguments: &[JsValue]) -> Result<JsValue, JsValue> {
        let function: Function = property(&self.exports, name).unchecked_into();
        let list: Array = arguments.iter().collect();
        function.apply(&JsValue::UNDEFINED, &list)
    }

    /// Calls a function whose result is an `i32` or a `u32`.
    fn number(&self, name: &str, arguments: &[JsValue]) -> u32 {
        self.call(name, arguments).unwrap().as_f64().unwrap() as u32
    }

    fn memory(&self) -> JsValue {
        property(&property(&self.exports, "memory"), "buffer")
    }

    /// Returns the bytes of a packed result; empty if there is none.
    fn bytes(&self, name: &str, arguments: &[JsValue]) -> Vec<u8> {
        let packed = i64::try_from(self.call(name, arguments).unwrap()).unwrap();
        let (address, len) = parts_of(packed as u64);
        Uint8Array::new_with_byte_offset_and_length(&self.memory(), address, len).to_vec()
    }

    /// Allocates a block with these bytes. Returns its address and length as arguments.
    fn block(&self, bytes: &[u8]) -> [JsValue; 2] {
        let len = u32::try_from(bytes.len()).unwrap();
        let address = self.number("sp_alloc", &[len.into()]);
        Uint8Array::new_with_byte_offset_and_length(&self.memory(), address, len).copy_from(bytes);
        [address.into(), len.into()]
    }

    fn open(&self) -> JsValue {
        let [spec, len] = self.block(SPEC.as_bytes());
        self.number("sp_open", &[spec, len, 0.into(), 0.into()]).into()
    }

    fn push(&self, handle: &JsValue, times: &[i64]) {
        let [address, len] = self.block(&batch(times));
        let pushed = self.call("sp_push", &[handle.clone(), address, len]).unwrap();
        assert_eq!(i64::try_from(pushed).unwrap(), i64::try_from(times.len()).unwrap());
    }

    fn snapshot(&self, handle: &JsValue) -> Vec<u8> {
        assert_eq!(self.number("sp_snapshot", &[handle.clone()]), 0);
        let next = || self.bytes("sp_snapshot_read", &[handle.clone(), 64.into()]);
        std::iter::repeat_with(next).take_while(|piece| !piece.is_empty()).flatten().collect()
    }

    /// Ends the stream and returns the block of its rows.
    fn rows(&self, handle: &JsValue) -> Vec<u8> {
        assert_eq!(self.number("sp_finish", &[handle.clone()]), 0);
        self.bytes("sp_poll", &[handle.clone(), 1_000.into()])
    }
}

fn property(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsString::from(name)).unwrap()
}

fn times(from: i64, to: i64) -> Vec<i64> {
    (from..to).map(|n| n * SECOND / 3).collect()
}

#[wasm_bindgen_test]
async fn fresh_instance_continues_after_a_trap() {
    let whole = Instance::new().await;
    let handle = whole.open();
    whole.push(&handle, &times(0, 20));
    whole.push(&handle, &times(20, 40));
    let due = whole.rows(&handle);
    assert!(due.len() > 16);

    let first = Instance::new().await;
    let handle = first.open();
    first.push(&handle, &times(0, 20));
    let snapshot = first.snapshot(&handle);
    // A null pointer for an object: the bindings throw, and behind the throw there is a trap.
    let trapped = first.call("processor_is_full", &[0.into()]).unwrap_err();
    assert_eq!(text_of(&trapped, "name"), "RuntimeError");

    let second = Instance::new().await;
    let handle = second.open();
    let [address, len] = second.block(&snapshot);
    let restored = second.number("sp_restore", &[handle.clone(), address, len, 1.into()]);
    assert_eq!(restored, 0);
    second.push(&handle, &times(20, 40));
    assert_eq!(second.rows(&handle), due);
}

#[wasm_bindgen_test]
async fn instances_share_no_state() {
    let own = open(SPEC);
    let [one, other] = [Instance::new().await, Instance::new().await];
    let handles = [one.open(), other.open()];
    one.push(&handles[0], &times(0, 20));
    assert_ne!(one.snapshot(&handles[0]), other.snapshot(&handles[1]));
    one.call("processor_is_full", &[0.into()]).unwrap_err();
    other.push(&handles[1], &times(0, 20));
    assert!(other.rows(&handles[1]).len() > 16);
    assert_eq!(stream_processor_wasm::abi::sp_close(own), 0);
}
